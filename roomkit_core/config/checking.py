"""From a table to a model, and from what pydantic says about it to problems that people can mend. No value is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from roomkit_core.config.annotations import takes_table, wants_text
from roomkit_core.config.document import Document, Keys
from roomkit_core.config.environment import BETWEEN, PREFIX
from roomkit_core.config.references import References
from roomkit_core.config.secrecy import is_secret, written_secrets
from roomkit_core.errors import ConfigProblem
from roomkit_core.models.settings import FOLDER

_FREE_TEXT = frozenset({"value_error", "assertion_error"})
LOOK = "`roomkit plugins` shows what is installed, and `roomkit doctor` what is wrong with it."


class Checking:
    """Checks the tables of one document.

    Attributes:
        problems: What was found so far.
    """

    def __init__(self, document: Document, references: References) -> None:
        self.document = document
        self.references = references
        self.problems: list[ConfigProblem] = []

    def redact(self, text: str) -> str:
        """The text without any secret that is known by now."""
        return self.references.secrecy.redact(text)

    def wrong(self, keys: Keys, what: str, fix: str) -> None:
        """Note a problem."""
        problem = self.document.problem(keys, self.redact(what), self.redact(fix) or LOOK)
        if problem not in self.problems:
            self.problems.append(problem)

    def table(self, value: Any, keys: Keys) -> dict[str, Any]:
        """The value if it is a table; an empty one, and a problem, if not."""
        if isinstance(value, dict):
            return value
        self.wrong(keys, "this is not a table", f"Write [{'.'.join(keys)}] and the keys below it.")
        return {}

    def model(
        self,
        model: type[BaseModel],
        table: Mapping[str, Any],
        keys: Keys,
        elsewhere: Mapping[str, Keys] | None = None,
    ) -> BaseModel | None:
        """What the model makes of the table; None, and problems, if it does not fit.

        Args:
            model: The model.
            table: The table, in which references are still to be resolved.
            keys: Where it stands.
            elsewhere: Where the tables stand from which single keys were taken.
        """
        places = elsewhere or {}
        known = len(self.references.problems)
        resolved = {
            key: self._resolved(model, key, value, (*places.get(key, keys), key)) for key, value in table.items()
        }
        missed = {problem.key for problem in self.references.problems[known:]}
        self.references.secrecy.keep(*written_secrets(model, resolved))
        try:
            made = model.model_validate(resolved, context={FOLDER: self.document.path.parent})
        except ValidationError as error:
            for problem in self._problems(model, error, keys, places):
                if problem.key not in missed:  # what a reference did not give is one problem, not two
                    self.problems.append(problem)
            return None
        return None if missed else made

    def _resolved(self, model: type[BaseModel], key: str, value: Any, at: Keys) -> Any:
        """The value with what it refers to; where a text is wanted, a variable's text that looks like JSON is one."""
        is_table = takes_table(model, key)
        for place, text in self.document.texts.items():
            inner = place[len(at) :]
            if place[: len(at)] == at and wants_text(model, (key, *inner)):
                value = self._with_text(value, inner, text, is_table=is_table)
        return self.references.resolve(value, at, is_table=is_table)

    def _with_text(self, value: Any, way: Keys, text: str, *, is_table: bool) -> Any:
        """The value with a text at the end of the way, unless a reference stands there, or no longer what was put."""
        if not way:
            return value if self.references.is_reference(value) and not is_table else text
        if not isinstance(value, dict) or way[0] not in value:
            return value
        return {**value, way[0]: self._with_text(value[way[0]], way[1:], text, is_table=False)}

    def _problems(
        self, model: type[BaseModel], error: ValidationError, keys: Keys, elsewhere: Mapping[str, Keys]
    ) -> Iterator[ConfigProblem]:
        for found in error.errors(include_url=False, include_input=False, include_context=False):
            steps = tuple(str(step) for step in found["loc"])
            at = elsewhere.get(steps[0], keys) if steps else keys
            way = (*at, *steps)
            if found["type"] == "extra_forbidden":
                yield self.document.problem(way, "there is no such key", did_you_mean(way[-1], _fields(model, steps)))
            elif found["type"] == "missing":
                variable = PREFIX + BETWEEN.join(step.upper().replace("-", "_") for step in way)
                yield self.document.problem(way, "this key is needed", f"Add {way[-1]} = ..., or set {variable}.")
            else:
                what = found["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
                if found["type"] in _FREE_TEXT and is_secret(model, steps):
                    what = "this is not valid"  # who wrote the validator may have repeated a part of the value
                what = self.redact(what[:1].lower() + what[1:])
                yield self.document.problem(way, what, _meaning(model, steps))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What to write instead."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean {close[0]}?"
    return f"There are: {', '.join(names)}." if names else "Remove it; there is nothing to set here."


def _fields(model: type[BaseModel], steps: Keys) -> Iterable[str]:
    for step in steps[:-1]:
        field = model.model_fields.get(step)
        inner = None if field is None else field.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ()
        model = inner
    return model.model_fields


def _meaning(model: type[BaseModel], way: Keys) -> str:
    """What the innermost field on the way that is described is for."""
    text = ""
    for step in way:
        field = model.model_fields.get(step)
        if field is None:
            break
        text = field.description or text
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            break
        model = field.annotation
    return f"It says: {text}" if text else LOOK
