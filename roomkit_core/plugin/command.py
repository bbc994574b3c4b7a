"""A command that a plugin adds to ``roomkit``, announced without importing it."""

from __future__ import annotations

from dataclasses import dataclass

from roomkit_core.plugin.names import check_command, check_target


@dataclass(frozen=True, slots=True)
class Command:
    """One word after ``roomkit``. Listing it imports nothing; its target is imported when it is run.

    A command of the core keeps its name whatever plugins say. A name that several plugins announce is run as
    ``roomkit plugin:name``, which always works.

    Args:
        name: The word: at most 64 lowercase letters, digits and hyphens, beginning with a letter.
        target: Where it is: ``"package.module:name"``. A function, whose parameters become arguments and options as in
            typer, or a ``typer.Typer`` with commands of its own. Its help is the function's docstring.
        summary: One line for the list of commands.

    Raises:
        ValueError: A name or a target does not have its form.
    """

    name: str
    target: str
    summary: str = ""

    def __post_init__(self) -> None:
        check_command(self.name, "command name")
        check_target(self.target, "command target")
