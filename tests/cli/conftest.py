"""A store that a kit has left behind, and the command to look at it with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from typer.testing import CliRunner, Result

from roomkit_core import RoomKit, Route, SQLiteStore, TextContent
from roomkit_core.cli.app import app
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message
from tests.support.kits import make_room


class Left(NamedTuple):
    """What is in the store: a message that was sent, one that was refused, and one that waits behind a retry."""

    path: Path
    sent: str
    failed: str
    waiting: str


async def _fill(path: Path) -> Left:
    sms = ScriptedChannel("sms")
    async with RoomKit(SQLiteStore(path)) as kit:
        for channel in (LiveProbe(), sms, Answering(reply=lambda event: [])):
            kit.register_channel(channel)
        await make_room(kit, "room", "live", "ai")
        await kit.attach_channel("room", "sms", route=Route(address="+1555"))
        ids = []
        for behave in ("send", "fail", "later"):
            sms.behave = behave
            await kit.process_inbound(message(behave, provider_message_id=f"SM-{behave}"), room_id="room")
            rows = await kit.deliveries.list(channel_id="sms")
            ids.append(rows[-1].id)
        await kit.send_event("room", "live", TextContent(body="\x1b[31mred\x1b[0m [bold]not bold[/bold]"))
    return Left(path, *ids)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    """A store file whose kit is closed."""
    return anyio.run(_fill, tmp_path / "room.db")


Run = Callable[..., Result]


@pytest.fixture
def roomkit(left: Left) -> Run:
    """Runs the command on that store; an exit code that is not expected fails the test."""

    def run(*arguments: str, exit_code: int = 0, store: Path | str = left.path) -> Result:
        result = CliRunner().invoke(app, [*arguments], env={"ROOMKIT_STORE": str(store), "COLUMNS": "300"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        return result

    return run


@pytest.fixture
def as_json(roomkit: Run) -> Callable[..., Any]:
    """The same with ``--json``, and what it printed."""

    def run(*arguments: str) -> Any:
        return json.loads(roomkit(*arguments, "--json").stdout)

    return run
