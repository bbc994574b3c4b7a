"""Values that stand elsewhere: ``{ env = "NAME" }``, ``{ file = "path" }``, ``{ vault = "ref" }`` of a component."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from roomkit_core.config.document import Document, Keys
from roomkit_core.config.secrecy import Secrecy
from roomkit_core.errors import ConfigProblem, RoomKitError

ENV: Final = "env"
FILE: Final = "file"

Secrets = Mapping[str, Callable[[str], str]]
"""What looks up a reference, by the name that stands in front of it."""


class References:
    """Resolves references. What comes of them is shown nowhere.

    Args:
        document: Where they stand.
        environ: The environment.
        secrets: More ways to look something up.
        secrecy: Keeps what was found out of messages.
    """

    def __init__(
        self, document: Document, environ: Mapping[str, str], secrets: Secrets, secrecy: Secrecy | None = None
    ) -> None:
        self._document = document
        self._environ = environ
        self.secrets = secrets
        self.secrecy = secrecy or Secrecy()
        self.problems: list[ConfigProblem] = []

    def resolve(self, value: Any, keys: Keys, *, is_table: bool = False) -> Any:
        """The value with all references in it replaced. One that leads nowhere is a problem, and None.

        Args:
            value: The value.
            keys: Where it stands.
            is_table: A table is what is wanted there: it is no reference itself, its values may be some.
        """
        if isinstance(value, dict):
            if self.is_reference(value) and not is_table:
                [(name, reference)] = value.items()
                return self._look_up(name, reference, keys)
            return {key: self.resolve(item, (*keys, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, (*keys, str(place))) for place, item in enumerate(value)]
        return value

    def is_reference(self, value: Any) -> bool:
        """Whether this is a table of one key that says where a value stands."""
        if not isinstance(value, dict) or len(value) != 1:
            return False
        [(name, reference)] = value.items()
        return isinstance(reference, str) and (name in (ENV, FILE) or name in self.secrets)

    def _look_up(self, name: str, reference: str, keys: Keys) -> str | None:
        if name == ENV:
            found = self._of_environment(reference, keys)
        elif name == FILE:
            found = self._of_file(reference, keys)
        else:
            found = self._of_component(name, reference, keys)
        if found is not None:
            self.secrecy.keep(found)
        return found

    def _of_environment(self, name: str, keys: Keys) -> str | None:
        found = self._environ.get(name)
        if found is None:
            self._miss(keys, f"the variable {name} is not set", f"Set it before the start: export {name}=...")
        return found

    def _of_file(self, name: str, keys: Keys) -> str | None:
        # Path.expanduser raises for a user that is not there; this leaves the name as it is, and the file is missing.
        path = self._document.path.parent / os.path.expanduser(name)  # noqa: PTH111
        try:
            return path.read_text(encoding="utf-8-sig").rstrip("\r\n")
        except FileNotFoundError:
            self._miss(keys, f"there is no file {path}", "Make it, with nothing but the value in it, or name another.")
        except OSError as error:
            what = f"the file {path} cannot be read: {error.strerror}"
            self._miss(keys, what, "Let the user of this process read it, or name another.")
        except UnicodeDecodeError:
            self._miss(keys, f"the file {path} is not UTF-8", "Write it as text in UTF-8.")
        except ValueError:  # no system has such a file
            self._miss(keys, f"{name!r} cannot be the name of a file", "Name one with nothing but the value in it.")
        return None

    def _of_component(self, name: str, reference: str, keys: Keys) -> str | None:
        try:
            return self.secrets[name](reference)
        except RoomKitError as error:
            self._miss(keys, f"{name} does not give {reference!r}: {error}", error.hint)
        except Exception as error:
            self._miss(keys, f"{name} does not give {reference!r}: {type(error).__name__}", "Its own log may say more.")
        return None

    def _miss(self, keys: Keys, what: str, fix: str) -> None:
        self.problems.append(self._document.problem(keys, what, fix))
