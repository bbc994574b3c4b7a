"""A bot in a file of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

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


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bot_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``bot.py`` with a bot that echoes politely."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    path = tmp_path / "bot.py"
    path.write_text(dedent(BOT))
    return path
