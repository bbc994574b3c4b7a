"""Reading from the source which codes it writes, where each appears, and whether the same again can succeed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Final, NamedTuple

from docs.generate.source import constants, module_of, plugin_modules, sources
from roomkit_core.errors import RoomKitError

OUTCOME: Final = "outcome of owed work"
RESULT: Final = "result of a message"
WHY: Final = "`why`"
HEALTH: Final = "health"
EVENT: Final = "content of the event"
WIRE: Final = "WebSocket"

YES, NO, BY_ITSELF, NOT_SAID = "yes", "no", "by itself", ""


class Site(NamedTuple):
    """One place in the source that writes a code.

    Attributes:
        code: The code.
        file: Where it is written, from the root of the repository.
        where: Where people meet it; empty if the place does not tell.
        again: Whether the same again can succeed: ``yes``, ``no``, ``by itself``; empty if the place does not tell.
    """

    code: str
    file: str
    where: str
    again: str


class _Form(NamedTuple):
    """A call that takes a code: at which place if not as ``code=``, where it is met, whether it is tried again."""

    place: int
    where: str
    again: str


_FORMS: Final = {
    "Outcome": _Form(1, OUTCOME, ""),  # its state says what becomes of it
    "Receipt.failed": _Form(0, OUTCOME, NO),
    "Receipt.unknown": _Form(0, OUTCOME, BY_ITSELF),
    "Withdrawal": _Form(0, OUTCOME, NO),
    "_again": _Form(1, OUTCOME, BY_ITSELF),
    "_failed": _Form(0, OUTCOME, NO),
    "_suppress_planned": _Form(2, OUTCOME, NO),
    "_suppressed": _Form(0, OUTCOME, NO),
    "_withdraw": _Form(2, OUTCOME, NO),
    "row._replace": _Form(-1, OUTCOME, NO),
    "DeliveryError": _Form(-1, OUTCOME, NO),
    "Obstacle": _Form(0, WHY, BY_ITSELF),
    "_trouble": _Form(1, WHY, NOT_SAID),
    "HealthProblem": _Form(-1, HEALTH, NOT_SAID),
    "refuse": _Form(2, RESULT, NOT_SAID),
    "KeyResult": _Form(3, RESULT, NOT_SAID),
    "result": _Form(-1, RESULT, NOT_SAID),
    "self._drop": _Form(1, WIRE, YES),
    "self._ended": _Form(0, WIRE, YES),
    "tombstone": _Form(1, EVENT, NOT_SAID),
}

_PLACES: Final = {
    "roomkit_core/engine/flow/gate.py": (WHY, BY_ITSELF),
    "roomkit_core/engine/flow/notices.py": (WHY, BY_ITSELF),
    "roomkit_core/engine/flow/runners.py": (OUTCOME, BY_ITSELF),
    "roomkit_core/engine/pure/causes.py": (WHY, BY_ITSELF),
    "roomkit_core/engine/pure/permissions.py": (RESULT, NOT_SAID),
    "roomkit_core/engine/pure/refusals.py": (RESULT, NOT_SAID),
    "roomkit_core/engine/steps/journal.py": (OUTCOME, BY_ITSELF),
    "roomkit_core/engine/steps/run_hook.py": (OUTCOME, BY_ITSELF),
    "roomkit_core/engine/steps/write.py": (RESULT, NOT_SAID),
}
"""What a code is for that stands in no call which tells."""

_CAUGHT: Final = ("roomkit_core/engine/pure/plan.py", "roomkit_core/interfaces/channel.py")
"""Where errors are made that never get to a caller: what a channel cannot render or send becomes an outcome."""

_BY_HAND: Final = frozenset({"waits.parked", "waits.paused"})
"""What waits for an operator."""

_TRIED_AGAIN: Final = frozenset({"WorkState.PENDING", "WorkState.UNKNOWN"})
_CODE_NAMES: Final = frozenset({"code", "reason"})
_REASONS: Final = ("source_", "room_", "event_")

_dotted = re.compile(r"[a-z_]+\.[a-z_]+")
_plain = re.compile(r"[a-z]+(_[a-z]+)*")
_no_code = re.compile(r"(roomkit|roomkit_core|websocket|fuse)\..*|.*\.(db|py|toml|txt)")
"""What looks like a code and is a logger, a module, a message of ASGI, a file system or a file."""


@cache
def sites() -> Mapping[str, tuple[Site, ...]]:
    """All codes that the core and its plugins write, and where; those places that tell, if any does."""
    found: dict[str, list[Site]] = {}
    for file, source in sources():
        if not file.endswith(("/explanations.py", "/codes.py")):
            for site in read(source, file):
                found.setdefault(site.code, []).append(site)
    return {code: tuple([site for site in all_ if site.where] or map(_by_place, all_)) for code, all_ in found.items()}


def _by_place(site: Site) -> Site:
    where, again = next((told for place, told in _PLACES.items() if site.file.startswith(place)), ("", NOT_SAID))
    return site._replace(where=where, again=again)


def read(source: str, file: str = "") -> tuple[Site, ...]:
    """The codes that one module writes."""
    return tuple(_Reader(ast.parse(source), file).found)


class _Reader(ast.NodeVisitor):
    """Looks at calls, assignments and returns; and at each text with the form of a code that was in none of them."""

    def __init__(self, tree: ast.Module, file: str) -> None:
        self.found: list[Site] = []
        self._file = file
        self._class = ""
        self._constants = constants(tree)
        self.visit(tree)
        known = {site.code for site in self.found}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in known:
                if _dotted.fullmatch(node.value) and not _no_code.fullmatch(node.value):
                    self._note([node.value])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._class, outer = node.name, self._class
        self.generic_visit(node)
        self._class = outer

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        form = _FORMS.get(name)
        where, again = _meaning(name, node, form)
        for keyword in node.keywords:
            if keyword.arg == "code" or (keyword.arg == "reason" and name == "result"):
                self._note(self._texts(keyword.value), where, again)
        if form is not None and 0 <= form.place < len(node.args):
            self._note(self._texts(node.args[form.place]), where, again)
        if name == "_Fault":  # of SQLite; becomes a StoreError
            is_lasting = len(node.args) > 2
            self._note(self._texts(node.args[0]), "`StoreError`", NO if is_lasting else YES)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._assign(node.target, node.value)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for name, value in zip(target.elts, node.value.elts, strict=True):
                    self._assign(name, value)
            else:
                self._assign(target, node.value)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        self._note(text for text in self._texts(node.value) if text.startswith(_REASONS))
        if isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:  # (code, reason) of what is tried again
            self._note(filter(_dotted.fullmatch, self._texts(node.value.elts[0])), OUTCOME, BY_ITSELF)
        self.generic_visit(node)

    def _assign(self, name: ast.expr, value: ast.expr | None) -> None:
        if ast.unparse(name) == "default_code":
            self._note(self._texts(value), f"`{self._class}`", _of_class(self._class))
        elif ast.unparse(name) == "self.refusal":
            self._note(self._texts(value), RESULT)
        elif ast.unparse(name) in _CODE_NAMES:
            self._note(self._texts(value))

    def _note(self, texts: Iterable[str], where: str = "", again: str = "") -> None:
        for text in texts:
            if _dotted.fullmatch(text) or _plain.fullmatch(text):
                site = Site(text, self._file, where, NO if text in _BY_HAND else again)
                self.found.append(site._replace(where=OUTCOME) if self._file in _CAUGHT else site)

    def _texts(self, node: ast.expr | None) -> set[str]:
        """What an expression can come to, as far as it stands there."""
        if isinstance(node, ast.Constant):
            return {node.value} if isinstance(node.value, str) else set()
        if isinstance(node, ast.Name):
            return {self._constants[node.id]} if node.id in self._constants else set()
        if isinstance(node, ast.BoolOp):
            return set().union(*map(self._texts, node.values))
        return self._texts(node.body) | self._texts(node.orelse) if isinstance(node, ast.IfExp) else set()


def _meaning(name: str, call: ast.Call, form: _Form | None) -> tuple[str, str]:
    """Where a code is met that this call takes, and whether the same again can succeed."""
    said = {"True": YES, "False": NO}.get(
        next((ast.unparse(word.value) for word in call.keywords if word.arg == "retryable"), "")
    )
    if form is None:
        is_error = name.endswith("Error") and name[:1].isupper()
        return (f"`{name}`", said or _of_class(name)) if is_error else ("", NOT_SAID)
    if name == "_trouble":
        return WHY, BY_ITSELF if any(word.arg == "is_waiting" for word in call.keywords) else NOT_SAID
    if name == "Outcome" and call.args:
        return OUTCOME, BY_ITSELF if ast.unparse(call.args[0]) in _TRIED_AGAIN else NO
    return form.where, said or form.again


def _of_class(name: str) -> str:
    """Whether errors of a class are retryable, if nobody says otherwise."""
    found = next((one for one in error_classes() if one.__name__ == name), RoomKitError)
    return YES if found.default_retryable else NO


@cache
def error_classes() -> tuple[type[RoomKitError], ...]:
    """All public error classes: those of the core in the order in which they are written, then those of its plugins."""
    for path in plugin_modules("*"):
        if "default_code" in path.read_text(encoding="utf-8"):
            import_module(module_of(path))
    own = [found for found in _tree(RoomKitError) if found.__module__.startswith("roomkit_")]
    return tuple(sorted(own, key=lambda found: found.__module__ if found.__module__ != RoomKitError.__module__ else ""))


def _tree(root: type[RoomKitError]) -> Iterator[type[RoomKitError]]:
    yield root
    for found in root.__subclasses__():
        yield from _tree(found)
