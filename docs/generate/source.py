"""What stands in the source and nowhere else: the texts below attributes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping


def attribute_texts(owner: type) -> Mapping[str, str]:
    """The text below each attribute of a class, in the order of the source; empty for an attribute without one."""
    (definition,) = ast.parse(inspect.getsource(owner)).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    last = None
    for node in definition.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
            texts[last] = ""
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last is not None:
            texts[last] = inspect.cleandoc(str(node.value.value))
        else:
            last = None
    return texts


def sections(text: str) -> Mapping[str, str]:
    """The paragraphs of a text by the word that they begin with, as ``Gets: ...``; the first one is that of ``""``."""
    found: dict[str, str] = {}
    for paragraph in text.split("\n\n"):
        word, colon, rest = paragraph.partition(": ")
        is_named = bool(found) and bool(colon) and word.isalpha()
        found[word if is_named else ""] = " ".join((rest if is_named else paragraph).split())
    return found
