"""A bot in a room of a test: what is said and heard, who hears it, and time that passes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from roomkit_core import ConfigError, HookError, RoomKit, RoomTimers, SQLiteStore, TextContent, UnsupportedError
from roomkit_testkit import VirtualClock, bot_room


async def test_what_the_bot_answers_is_heard_when_say_returns(bot_file: Path) -> None:
    async with bot_room(bot_file) as room:
        await room.say("hi")
        assert room.heard() == ["You said: hi"]
        assert room.heard() == [], "each message is heard once"
        await room.say("a")
        await room.say("b")
        assert room.heard() == ["You said: a", "You said: b"]


async def test_a_blocked_message_has_its_reason_and_is_heard_by_nobody(bot_file: Path) -> None:
    async with bot_room(bot_file) as room:
        ann = await room.person("ann")
        result = await room.say("rude")

        assert (result.blocked, result.reason) == (True, "rude")
        assert ann.heard() == room.heard() == []
        assert room.transcript() == "you: rude  [blocked: rude]"


async def test_people_hear_each_other_and_not_themselves(bot_file: Path) -> None:
    async with bot_room(bot_file) as room:
        ann = await room.person("ann")
        await ann.say("hi")
        await room.say("hello", by="bob")

        assert ann.heard() == ["You said: hi", "hello", "You said: hello"]
        assert room.heard(by="bob") == ["You said: hello"], "he came in later"
        assert room.heard() == ["hi", "You said: hi", "hello", "You said: hello"]
        with pytest.raises(LookupError, match="nobody called 'cid'"):
            room.heard(by="cid")


async def test_a_hook_that_fails_is_tried_again_when_time_passes(tmp_path: Path, bot_file: Path) -> None:
    bot = tmp_path / "bot_that_fails_once.py"
    bot.write_text(
        "from roomkit_core import TextContent, hook\n"
        "calls = []\n"
        "@hook('after_broadcast', 'async', durable=True)\n"
        "async def answer(event, context, kit):\n"
        "    calls.append(event.id)\n"
        "    assert len(calls) > 1\n"
        "    if event.source.channel_id != 'bot':\n"
        "        await kit.send_event(event.room_id, 'bot', TextContent(body='at last'))\n"
    )
    async with bot_room(bot) as room:
        await room.say("hi")
        assert room.heard() == []
        await room.later(60)
        assert room.heard() == ["at last"]


@pytest.mark.parametrize("is_durable", [False, True])
async def test_timers_and_scheduled_messages_happen_later(bot_file: Path, tmp_path: Path, is_durable: bool) -> None:
    store = (lambda clock: SQLiteStore(tmp_path / "test.db", clock=clock)) if is_durable else None
    clock = VirtualClock()
    async with bot_room(bot_file, store=store, clock=clock) as room:
        await room.kit.set_room_timers(room.id, RoomTimers(closed_after_seconds=3600))
        await room.kit.send_event(
            room.id, "bot", TextContent(body="still there?"), at=clock.now() + timedelta(seconds=1800), wait="committed"
        )
        await room.later(1700)
        assert room.heard() == []
        await room.later(200)
        assert room.heard() == ["still there?"]
        await room.later(3700)
        result = await room.say("hi")

    assert result.reason == "room_closed"


async def test_a_kit_of_ones_own_keeps_its_clock() -> None:
    async with bot_room(RoomKit()) as room:
        await room.say("hi")
        with pytest.raises(UnsupportedError, match="clock of its own"):
            await room.later(1)


async def test_what_fails_gets_the_conversation_as_a_note(bot_file: Path) -> None:
    async def fails() -> None:
        async with bot_room(bot_file) as room:
            await room.say("hi")
            await room.later(5)
            raise AssertionError("no")

    with pytest.raises(AssertionError) as caught:
        await fails()

    [note] = caught.value.__notes__
    assert note == "The conversation so far:\nyou: hi\nbot: You said: hi\n(5 seconds pass)"


async def test_a_bot_with_mistakes_does_not_start(tmp_path: Path, bot_file: Path) -> None:
    (tmp_path / "bot.py").write_text("from roomkit_core import hook\n@hook('befor_broadcast')\ndef f(e, c): ...\n")
    with pytest.raises(HookError, match="Did you mean 'before_broadcast'"):
        async with bot_room(bot_file):
            pass


CONFIGURATION = """
[roomkit]
app = ["bot"]
max_chain_depth = 3

[stores.main]
use = "sqlite"
path = "rooms.db"

[channels.bot]
use = "bot"
"""


async def test_a_bot_is_tested_as_it_is_configured_with_a_store_and_a_clock_of_the_test(bot_file: Path) -> None:
    path = bot_file.with_name("roomkit.toml")
    path.write_text(CONFIGURATION)

    async with bot_room(path) as room:
        await room.say("hi")
        assert room.heard() == ["You said: hi"]
        await room.kit.set_room_timers(room.id, RoomTimers(closed_after_seconds=3600))
        await room.later(3700)
        assert (await room.say("hi")).reason == "room_closed"

    assert not path.with_name("rooms.db").exists()


async def test_overrides_change_what_is_configured_and_its_mistakes_are_told(bot_file: Path) -> None:
    path = bot_file.with_name("roomkit.toml")
    path.write_text(CONFIGURATION)

    with pytest.raises(ConfigError, match=r"channels\.bot\.use"):
        async with bot_room(path, overrides={"channels": {"bot": {"use": "bt"}}}):
            pass
    with pytest.raises(ValueError, match="no configuration"):
        async with bot_room(bot_file, overrides={"channels": {}}):
            pass


async def test_a_configured_bot_lives_in_the_store_that_the_test_gives(bot_file: Path, tmp_path: Path) -> None:
    path = bot_file.with_name("roomkit.toml")
    path.write_text(CONFIGURATION)
    for expected in (2, 4):
        async with bot_room(path, store=lambda clock: SQLiteStore(tmp_path / "test.db", clock=clock)) as room:
            await room.say("hi")
            events = [event for event in await room.kit.get_timeline(room.id) if event.type == "message"]
            assert len(events) == expected
