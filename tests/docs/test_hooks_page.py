"""The reference of hooks knows every moment, and those that the core brings about are the ones that it fires."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from docs.generate import hooks
from docs.generate.pages import target
from docs.generate.source import attribute_texts, sections
from roomkit_core import HookTrigger
from roomkit_core.hooks.registration import FIRED

ENGINE = Path(__file__).resolve().parents[2] / "roomkit_core" / "engine"


def without(trigger: str, text: str = "") -> Mapping[str, str]:
    return {**attribute_texts(HookTrigger), trigger: text}


def test_every_trigger_has_its_row() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|", target("hooks").read_text(encoding="utf-8").split("## Moments")[1], re.MULTILINE
    )

    assert sorted(rows) == sorted(HookTrigger.known)


def test_a_trigger_without_a_text_stops_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "attribute_texts", lambda owner: without("ON_DTMF"))

    with pytest.raises(SystemExit, match=r"^HookTrigger.ON_DTMF does not say below its name: when$"):
        hooks.page()


def test_a_moment_of_the_core_says_what_its_hooks_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "attribute_texts", lambda owner: without("BEFORE_BROADCAST", "A message comes."))

    with pytest.raises(SystemExit, match=r"BEFORE_BROADCAST does not say below its name: Gets, May$"):
        hooks.page()


def test_what_is_said_to_be_fired_is_what_the_engine_fires() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in ENGINE.rglob("*.py"))
    named = {HookTrigger(name.lower()) for name in re.findall(r"HookTrigger\.([A-Z_]+)", source)}

    assert named | {HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST} == FIRED


def test_a_text_is_read_paragraph_by_paragraph() -> None:
    text = "When: a colon\nin the first.\n\nGets: This: that.\n\nMay: One\nthing."

    assert sections(text) == {"": "When: a colon in the first.", "Gets": "This: that.", "May": "One thing."}
