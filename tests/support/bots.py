"""A bot in a file of its own, for tests of what runs bots."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BOT = """
from roomkit_core import HookResult, TextContent, hook

@hook("before_broadcast")
def polite(event, context):
    return HookResult.block("rude") if "rude" in event.content.body else HookResult.allow()

@hook("after_broadcast", "async", durable=True)
async def answer(event, context, kit):
    if event.source.channel_id != "bot":
        await kit.send_event(event.room_id, "bot", TextContent(body=f"You said: {event.content.body}"))
"""
"""Echoes politely."""


@pytest.fixture
def bot_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``bot.py`` with that bot, in the folder of the test."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    path = tmp_path / "bot.py"
    path.write_text(BOT, encoding="utf-8")
    return path
