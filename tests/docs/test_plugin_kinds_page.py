"""The reference of plugins knows every hookspec with its contract, every kind and every component of ours."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from docs.generate import plugin_kinds
from docs.generate.pages import target
from docs.generate.registry import own_plugins
from docs.generate.source import attribute_texts
from roomkit_core.plugin import Kind
from roomkit_core.registry.checks import SPECIFIED


def test_every_hookspec_and_every_component_of_ours_is_on_the_page() -> None:
    text = target("plugin-kinds").read_text(encoding="utf-8")

    assert SPECIFIED
    assert [name for name in SPECIFIED if f"### {name}\n" not in text] == []
    entries = own_plugins().components()
    assert {entry.plugin for entry in entries} == {"builtin", "server", "websocket"}
    assert [e.full_name for e in entries if f"`{e.component.name}` (" not in text] == []
    assert [e.component.kind for e in entries if f"| `{e.component.kind}` |" not in text] == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Serves tea.\n\nA raise: no tea.", "When:"),
        ("Serves tea.\n\nWhen: at five.", "A raise"),
        ("When: at five.\n\nA raise: no tea.", "When:"),
    ],
)
def test_a_hookspec_without_its_contract_stops_the_generator(text: str, missing: str) -> None:
    with pytest.raises(
        SystemExit, match=f"^the docstring of roomkit_tea has no paragraph that begins with '{missing}'$"
    ):
        plugin_kinds.check_contract("roomkit_tea", text)


def test_a_kind_without_a_text_stops_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(owner: type) -> Mapping[str, str]:
        return {**attribute_texts(Kind), "BLOB_STORE": ""}

    monkeypatch.setattr(plugin_kinds, "attribute_texts", without)

    with pytest.raises(SystemExit, match=r"^Kind.BLOB_STORE has no text below it$"):
        plugin_kinds.page()
