"""Modules of marked hooks: what a kit takes from them, every mistake at once, and new versions while it runs."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from roomkit_core import (
    Access,
    BotChannel,
    DeliveryStatus,
    HookError,
    HookResult,
    InboundMessage,
    RoomKit,
    TextContent,
    hook,
    on,
)
from tests.bots.conftest import WriteBot
from tests.support.channels import LiveProbe, text_of

ECHO = """
    from roomkit_core import TextContent, hook

    @hook("after_broadcast", "async", durable=True)
    async def answer(event, context, kit):
        if event.source.channel_id != "bot":
            await kit.send_event(event.room_id, "bot", TextContent(body="echo " + event.content.body))
"""


def problems_of(*places: Path | str | ModuleType, folder: Path | None = None) -> list[str]:
    """``file:line name: what is wrong`` of each problem; nothing of the bot is registered."""
    kit = RoomKit()
    with pytest.raises(HookError) as caught:
        kit.include(*places, folder=folder)
    assert all(problem.fix for problem in caught.value.problems), "every problem says what to do"
    assert not any(kit.hook_engine.has_hooks(trigger) for trigger in ("before_broadcast", "after_broadcast"))
    return [f"{Path(one.file).name}:{one.line} {one.key}: {one.what}" for one in caught.value.problems]


async def say(kit: RoomKit, text: str) -> None:
    message = InboundMessage(channel_id="live", sender_id="ann", content=TextContent(body=text))
    await kit.process_inbound(message, room_id="r")
    await kit.idle()


async def furnished(kit: RoomKit) -> LiveProbe:
    live = LiveProbe()
    kit.register_channel(live)
    kit.register_channel(BotChannel("bot"))
    await kit.create_room("r")
    await kit.attach_channel("r", "live")
    await kit.attach_channel("r", "bot", access=Access.WRITE_ONLY)
    return live


# ------------------------------------------------------------------------------------------------- marking


def test_marking_a_function_leaves_it_as_it_is() -> None:
    @hook("before_broadcast")
    def plain(event: object, context: object) -> HookResult:
        return HookResult.allow()

    assert plain(None, None) == HookResult.allow()
    assert plain.__name__ == "plain"


def test_only_functions_can_be_marked() -> None:
    with pytest.raises(HookError, match="only functions"):
        on("room_created")(type("Thing", (), {}))


def test_two_kits_include_one_module_and_each_hook_gets_its_own_kit(write_bot: WriteBot) -> None:
    path = write_bot(ECHO)
    kits = RoomKit(), RoomKit()

    assert [kit.include(path) for kit in kits] == [("answer",), ("answer",)]
    assert all(kit.hook_engine.find_durable("answer", None) is not None for kit in kits)


async def test_a_bot_that_is_named_twice_is_there_once(write_bot: WriteBot) -> None:
    path = write_bot(ECHO)
    async with RoomKit() as kit:
        live = await furnished(kit)
        assert kit.include("bot", path, folder=path.parent) == ("answer",)
        assert kit.include("bot.py", folder=path.parent) == ()
        await say(kit, "hi")

        assert [text_of(event) for event in live.got] == ["hi", "echo hi"]


async def test_every_mark_of_a_module_is_registered(write_bot: WriteBot) -> None:
    bot = write_bot(
        """
        from roomkit_core import HookResult, hook, on, on_delivery_status

        told = []

        @on_delivery_status
        def note(status, kit):
            told.append(("status", status.status, type(kit).__name__))

        @on("noticed")
        async def hear(event):
            told.append(("event", event.type))

        @hook("before_broadcast", name="first")
        @hook("before_broadcast", name="second")
        def guard(event, context):
            told.append(("guard", event.content.body))
            return HookResult.allow()
        """
    )
    async with RoomKit() as kit:
        await furnished(kit)
        assert kit.include(bot) == ("note", "hear", "guard")
        kit.emit("noticed")
        [status_hook] = kit.hook_engine.select("on_delivery_status", "r")
        await status_hook.fn(
            DeliveryStatus(provider="p", message_id="1", status="sent", recipient="x", sender="y"), None
        )
        await say(kit, "hi")
        hooks = kit.hook_engine.select("before_broadcast", "r")

    fn: Any = hooks[0].fn  # a function, and so it has a module's names
    told = fn.__globals__["told"]
    assert [one.name for one in hooks] == ["first", "second"]
    assert sorted(told) == [
        ("event", "noticed"),
        ("guard", "hi"),
        ("guard", "hi"),
        ("status", "sent", "RoomKit"),
    ]


# ------------------------------------------------------------------------------------------------- mistakes


def test_all_mistakes_of_all_modules_are_told_at_once_with_file_and_line(write_bot: WriteBot) -> None:
    first = write_bot(
        """\
        from roomkit_core import hook, on

        @hook("befor_broadcast")
        def misspelt(event, context): ...

        @hook("before_broadcast")
        def too_few(event): ...

        @on("room_created")
        def too_many(event, context): ...

        @hook("after_broadcast", timeout=-1)
        def hasty(event, context): ...

        @hook("after_broadcast")
        async def yields(event, context):
            yield 1

        class Bot:
            @hook("after_broadcast")
            def method(self, event, context): ...

        @on("room_creatd")
        def deaf(event): ...

        nameless = hook("after_broadcast", durable=True)(lambda event, context: None)

        @hook("after_broadcast")
        def fine(event, context): ...
        """
    )
    second = write_bot(
        """\
        from roomkit_core import hook

        @hook("after_broadcast", name="fine")
        def other(event, context): ...

        @hook("before_broadcast")
        def twice(event, context): ...

        @hook("after_broadcast")
        def twice(event, context): ...
        """,
        name="second",
    )

    told = problems_of(first, second, "nowhere", folder=first.parent)

    assert len(told) == 11
    for start in (
        "bot.py:3 misspelt: there is no trigger 'befor_broadcast'",
        "bot.py:6 too_few: it is called with (event, context), and takes (event)",
        "bot.py:9 too_many: it is called with (event), and takes (event, context)",
        "bot.py:12 hasty: hook 'hasty': timeout must be above 0",
        "bot.py:15 yields: there is a yield in it",
        "bot.py:20 method: this is a method",
        "bot.py:23 deaf: there is no framework event 'room_creatd'",
        "bot.py:26 <lambda>: a durable hook has no name",
        "second.py:6 twice: the function of the same name in line 9 replaces it",
        "second.py:3 other: there is a hook 'fine' of after_broadcast already, in ",
    ):
        assert any(one.startswith(start) for one in told), (start, told)
    assert any("the module 'nowhere' cannot be imported: ModuleNotFoundError" in one for one in told)


def test_a_module_that_raises_is_told_with_the_last_line_of_the_bot_that_was_reached(write_bot: WriteBot) -> None:
    write_bot("import json\n\ndef parse():\n    return json.loads('nonsense')\n", name="helper_that_raises")
    bot = write_bot("import helper_that_raises\n\nhelper_that_raises.parse()\n")

    [problem] = problems_of(bot)

    assert problem.startswith("helper_that_raises.py:4 : the module 'bot' cannot be imported: JSONDecodeError")


def test_a_hook_that_nothing_fires_is_a_warning(write_bot: WriteBot, caplog: pytest.LogCaptureFixture) -> None:
    bot = write_bot(
        """
        from roomkit_core import hook

        @hook("on_full_moon")
        def howl(event, context): ...
        """
    )
    with caplog.at_level(logging.WARNING, "roomkit.hooks"):
        assert RoomKit().include(bot) == ("howl",)

    assert "waits for on_full_moon, which nothing installed fires" in caplog.text


def test_a_name_that_a_kit_has_already_is_refused_and_nothing_is_registered(write_bot: WriteBot) -> None:
    kit = RoomKit()
    kit.hook("after_broadcast", "async", name="answer", durable=True)(lambda event, context: None)
    bot = write_bot(ECHO + '\n    @hook("before_broadcast")\n    def guard(event, context): ...\n')

    with pytest.raises(HookError, match="already"):
        kit.include(bot)

    assert not kit.hook_engine.has_hooks("before_broadcast")


def test_bots_of_one_name_in_two_folders_are_two_bots(write_bot: WriteBot, tmp_path: Path) -> None:
    text = 'from roomkit_core import hook\n\n@hook("after_broadcast")\ndef {}(event, context): ...\n'
    first = write_bot(text.format("one"))
    (tmp_path / "elsewhere").mkdir()
    second = tmp_path / "elsewhere" / "bot.py"
    second.write_text(text.format("two"))

    assert [RoomKit().include(path) for path in (first, second)] == [("one",), ("two",)]


# ------------------------------------------------------------------------------------------------- reload


async def test_a_changed_module_and_what_it_imports_take_over_and_owed_rows_find_the_new_hook(
    write_bot: WriteBot,
) -> None:
    write_bot('WORD = "one"\n', name="words_of_the_bot")
    text = ECHO.replace('"echo "', 'WORD + " "')
    bot = write_bot("    from words_of_the_bot import WORD\n" + text)
    async with RoomKit() as kit:
        live = await furnished(kit)
        kit.include(bot)
        await say(kit, "a")
        assert kit.reload_app() == ()
        write_bot('WORD = "two"\n', name="words_of_the_bot")  # as long as before, and within the same second
        assert kit.reload_app() == ("bot",)
        await say(kit, "b")

    assert [text_of(event) for event in live.got] == ["a", "one a", "b", "two b"]


async def test_a_version_that_does_not_import_changes_nothing_and_is_tried_again(write_bot: WriteBot) -> None:
    bot = write_bot(ECHO)
    async with RoomKit() as kit:
        live = await furnished(kit)
        kit.include(bot)
        write_bot("def broken(:\n")
        for _ in range(2):
            with pytest.raises(HookError, match="SyntaxError"):
                kit.reload_app()
        await say(kit, "a")
        write_bot(ECHO.replace("echo", "again"))
        assert kit.reload_app() == ("bot",)
        await say(kit, "b")

    assert [text_of(event) for event in live.got] == ["a", "echo a", "b", "again b"]


async def test_hooks_that_are_replaced_keep_their_place_among_the_others(write_bot: WriteBot) -> None:
    bot = write_bot(
        """
        from roomkit_core import hook

        @hook("before_broadcast")
        def one(event, context): ...

        @hook("before_broadcast")
        def two(event, context): ...
        """
    )
    kit = RoomKit()
    kit.hook("before_broadcast", name="before")(lambda event, context: None)
    kit.include(bot)
    kit.hook("before_broadcast", name="after")(lambda event, context: None)
    bot.write_text(bot.read_text() + '\n@hook("before_broadcast", priority=-1)\ndef early(event, context): ...\n')

    assert kit.reload_app() == ("bot",)
    assert [one.name for one in kit.hook_engine.select("before_broadcast", "r")] == [
        "early",
        "before",
        "one",
        "two",
        "after",
    ]


async def test_a_run_of_hooks_that_has_begun_ends_with_the_old_ones(write_bot: WriteBot) -> None:
    text = """
        from roomkit_core import HookResult, hook

        @hook("before_broadcast")
        def one(event, context, kit):
            if event.content.body == "swap":
                kit.swap()
            return HookResult.allow()

        @hook("before_broadcast")
        def two(event, context):
            return HookResult.block("VERSION")
        """
    bot = write_bot(text)
    async with RoomKit() as kit:
        await furnished(kit)
        kit.include(bot)

        def swap() -> None:
            write_bot(text.replace("VERSION", "newer"))
            kit.reload_app()

        setattr(kit, "swap", swap)  # noqa: B010 (how the bot of this test gets at it; a kit has no such attribute)
        results = []
        for body in ("swap", "again"):
            message = InboundMessage(channel_id="live", sender_id="ann", content=TextContent(body=body))
            results.append(await kit.process_inbound(message, room_id="r"))

    assert [result.reason for result in results] == ["VERSION", "newer"]
