"""Reading from the source which codes it writes, so that none is left without an explanation."""

from __future__ import annotations

import ast

CODE_AT = {
    "Outcome": 1,
    "Receipt.failed": 0,
    "Receipt.unknown": 0,
    "Withdrawal": 0,
    "Obstacle": 0,
    "_Fault": 0,
    "_again": 1,
    "_failed": 0,
    "_suppress_planned": 2,
    "_suppressed": 0,
    "_withdraw": 2,
    "refuse": 2,
}
"""At which place a call has a code, where it is not called so."""

CODE_NAMES = frozenset({"default_code", "code", "reason", "CLOSED", "DETACHED", "TIMEOUT", "RATE_LIMITED", "QUEUED"})
REASONS = ("source_", "waits.", "room_", "event_")


class Codes(ast.NodeVisitor):
    """The codes that one module writes.

    Args:
        tree: The module.

    Attributes:
        found: The codes.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.found: set[str] = set()
        self._constants: dict[str, str] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                self._constants |= {ast.unparse(name): str(node.value.value) for name in node.targets}
        self.visit(tree)

    def visit_Call(self, node: ast.Call) -> None:
        for keyword in node.keywords:
            if keyword.arg == "code":
                self._take(keyword.value)
        place = CODE_AT.get(ast.unparse(node.func))
        if place is not None and len(node.args) > place:
            self._take(node.args[place])
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
        self.found |= {text for text in self._texts(node.value) if text.startswith(REASONS)}
        if isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:  # (code, reason)
            self.found |= {text for text in self._texts(node.value.elts[0]) if "." in text and " " not in text}
        self.generic_visit(node)

    def _assign(self, name: ast.expr, value: ast.expr | None) -> None:
        if ast.unparse(name) in CODE_NAMES:
            self._take(value)

    def _take(self, node: ast.expr | None) -> None:
        self.found |= {text for text in self._texts(node) if text and " " not in text}

    def _texts(self, node: ast.expr | None) -> set[str]:
        """What an expression can come to, as far as it stands there."""
        if isinstance(node, ast.Constant):
            return {node.value} if isinstance(node.value, str) else set()
        if isinstance(node, ast.Name):
            return {self._constants[node.id]} if node.id in self._constants else set()
        if isinstance(node, ast.BoolOp):
            return set().union(*map(self._texts, node.values))
        return self._texts(node.body) | self._texts(node.orelse) if isinstance(node, ast.IfExp) else set()
