"""``kit.state``: small values that outlive the kit, and inside a hook belong to the commit of its message."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from roomkit_core import HookResult, HookTrigger, KitStateError, RoomContext, RoomEvent, RoomKit
from tests.support.channels import LiveProbe, message
from tests.support.homes import Home
from tests.support.rooms import kit_with, messages, texts
from tests.support.stores import SlowStore

BEFORE, AFTER = HookTrigger.BEFORE_BROADCAST, HookTrigger.AFTER_BROADCAST

VALUES: list[Any] = [
    None,
    True,
    0,
    -1.5,
    2**70,
    "",
    "grüße \U0001f600 \x00 \u2028",
    [],
    [1, [2, {"three": None}]],
    {},
    {"": {"deep": [{}]}},
]


async def held(kit: RoomKit, namespace: str = "n") -> dict[str, Any]:
    """What is durable, past the kit."""
    found = await kit.store.kv_scan(namespace)
    return dict(found)


# ------------------------------------------------------------------------------------------------------- plain use


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_a_value_comes_back_as_it_was_given_also_after_a_restart(home: Home, value: Any) -> None:
    async with home.kit(rooms=[]) as kit:
        await kit.state("n").put("k", value)
        assert await kit.state("n").get("k", "nothing") == value
    async with home.kit(rooms=[]) as kit:
        assert await kit.state("n").get("k", "nothing") == value
        assert await kit.state("n").scan() == [("k", value)]


async def test_what_is_not_there_is_the_default_and_deleting_it_is_no_error(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        state = kit.state("n")
        assert (await state.get("k"), await state.get("k", 7), await state.scan()) == (None, 7, [])
        await state.delete("k")
        await state.put("k", 1)
        await state.put("k", 2)
        assert await state.get("k") == 2
        await state.delete("k")
        assert (await state.get("k", 7), await state.scan()) == (7, [])


async def test_namespaces_do_not_see_each_other(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        for namespace in ("a", "b", "a.b"):
            await kit.state(namespace).put("k", namespace)
        await kit.state("b").delete("k")

        assert [await kit.state(name).scan() for name in ("a", "b", "a.b")] == [[("k", "a")], [], [("k", "a.b")]]


async def test_a_scan_is_ordered_and_a_prefix_is_taken_by_its_letters(home: Home) -> None:
    keys = ["a", "a%", "a%b", "a_b", "ab", "aB", "b", "é", "\U0001f600", "a\x00"]
    async with home.kit(rooms=[]) as kit:
        state = kit.state("n")
        for key in keys:
            await state.put(key, key)

        assert [key for key, _ in await state.scan()] == sorted(keys)
        for prefix in ("a", "a%", "a_", "aB", "\U0001f600", "zz"):
            assert [key for key, _ in await state.scan(prefix)] == sorted(k for k in keys if k.startswith(prefix))


async def test_a_value_is_gone_when_its_time_is_over_and_a_later_one_has_its_own(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        state = kit.state("n")
        await state.put("short", 1, ttl=10)
        await state.put("long", 2)
        await state.put("renewed", 3, ttl=10)
        home.clock.jump(9.999)
        assert await state.get("short") == 1
        await state.put("renewed", 3)

        home.clock.jump(0.001)

        assert await state.get("short") is None
        assert await state.scan() == [("long", 2), ("renewed", 3)]


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("namespace", ["", "x" * 257, "roomkit.", "roomkit.timers"])
async def test_a_namespace_that_cannot_be_used_is_refused(namespace: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        RoomKit().state(namespace)


@pytest.mark.parametrize("key", ["", "x" * 257])
async def test_a_key_that_cannot_be_used_is_refused(home: Home, key: str) -> None:
    async with home.kit(rooms=[]) as kit:
        with pytest.raises(ValueError, match="256"):
            await kit.state("n").put(key, 1)
        await kit.state("n" * 256).put("k" * 256, 1)
        assert await kit.state("n" * 256).get("k" * 256) == 1


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), {1: "a"}, {"a": {None: 1}}, object(), {1, 2}, b"bytes", "\ud800", endless()],
    ids=["nan", "infinity", "number as key", "none as key", "object", "set", "bytes", "half a pair", "endless"],
)
async def test_what_json_cannot_hold_or_would_change_is_refused_and_nothing_is_written(home: Home, value: Any) -> None:
    async with home.kit(rooms=[]) as kit:
        with pytest.raises(ValueError, match="'k' cannot be written as JSON"):
            await kit.state("n").put("k", value)
        assert await held(kit) == {}
        await kit.state("n").put("k", 1)  # and the store goes on


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e30])
async def test_a_time_that_is_none_is_refused(home: Home, ttl: float) -> None:
    async with home.kit(rooms=[]) as kit:
        with pytest.raises(ValueError, match="ttl"):
            await kit.state("n").put("k", 1, ttl=ttl)
        assert await held(kit) == {}


async def test_a_closed_kit_keeps_nothing_any_more(home: Home) -> None:
    async with home.kit(rooms=[]) as kit:
        state = kit.state("n")
    for call in (state.get("k"), state.put("k", 1), state.delete("k"), state.scan()):
        with pytest.raises(KitStateError, match="clos"):
            await call


# ------------------------------------------------------------------------------------------------------ inside a hook


@pytest.mark.parametrize("how", ["allow", "block", "raise", "hang"])
async def test_a_write_in_a_hook_is_there_with_the_message_or_not_at_all(home: Home, how: str) -> None:
    inside: list[Any] = []
    async with home.kit(LiveProbe()) as kit:
        state = kit.state("n")
        await state.put("old", 1)
        await state.put("dead", 1)

        @kit.hook(BEFORE, timeout=0.05 if how == "hang" else 30)
        async def decide(event: RoomEvent, context: RoomContext) -> HookResult:
            await state.put("new", "written")
            await state.put("old", 2)
            await state.delete("dead")
            inside.append((await state.get("new"), await state.get("old"), await state.get("dead", "gone")))
            inside.append((await state.scan(), await state.scan("n")))
            inside.append(await held(kit))
            if how == "raise":
                raise RuntimeError("no")
            if how == "hang":
                await anyio.sleep_forever()
            return HookResult.block("no") if how == "block" else HookResult.allow()

        await kit.process_inbound(message(), room_id="room")

        assert inside == [
            ("written", 2, "gone"),
            ([("new", "written"), ("old", 2)], [("new", "written")]),
            {"old": "1", "dead": "1"},
        ]
        is_kept = how in ("allow", "block")
        assert await state.scan() == ([("new", "written"), ("old", 2)] if is_kept else [("dead", 1), ("old", 1)])


async def test_a_later_hook_sees_what_an_earlier_one_wrote_and_not_what_was_taken_back(home: Home) -> None:
    seen: list[Any] = []
    async with home.kit(LiveProbe()) as kit:
        state = kit.state("n")

        @kit.hook(BEFORE, priority=1)
        async def first(event: RoomEvent, context: RoomContext) -> HookResult:
            await state.put("k", "first")
            return HookResult.allow()

        @kit.hook(BEFORE, priority=2)
        async def second(event: RoomEvent, context: RoomContext) -> HookResult:
            await state.put("k", "second")
            raise RuntimeError("no")

        @kit.hook(BEFORE, priority=3)
        async def third(event: RoomEvent, context: RoomContext) -> HookResult:
            seen.append(await state.get("k"))
            return HookResult.allow()

        await kit.process_inbound(message(), room_id="room")

        assert seen == ["first"]
        assert await state.get("k") == "first"


async def test_a_counter_is_counted_once_for_each_message_also_after_a_conflict() -> None:
    async def no_pause() -> None:
        pass

    store = SlowStore(no_pause)
    other = RoomKit(store)
    other.register_channel(LiveProbe())
    runs = 0
    async with other, kit_with(LiveProbe(), store=store) as kit:
        state = kit.state("n")

        @kit.hook(BEFORE)
        async def count(event: RoomEvent, context: RoomContext) -> HookResult:
            nonlocal runs
            runs += 1
            await state.put("count", await state.get("count", 0) + 1)
            await state.put(f"run {context.attempt}", event.id)
            if runs == 1:
                await state.put("only in the first run", 1)
                await other.mute("room", "live")  # another worker changes the room
                await other.unmute("room", "live")
            return HookResult.allow()

        await kit.process_inbound(message(), room_id="room")

        assert (runs, store.refusals) == (2, ["stale"])
        [event] = await messages(kit)
        assert await state.scan() == [("count", 1), ("run 2", event.id)]


async def test_a_value_of_a_refused_message_is_not_written(home: Home) -> None:
    async with home.kit(LiveProbe(), max_chain_depth=1) as kit:
        state = kit.state("n")

        @kit.hook(BEFORE)
        async def note(event: RoomEvent, context: RoomContext) -> HookResult:
            await state.put("k", event.id)
            return HookResult.allow()

        await kit.close_room("room")
        await kit.process_inbound(message(), room_id="room")

        assert await state.scan() == []


async def test_the_commit_of_a_hook_that_only_writes_values_is_that_of_its_message(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        state = kit.state("n")

        @kit.hook(BEFORE)
        async def note(event: RoomEvent, context: RoomContext) -> HookResult:
            await state.put("k", event.id, ttl=10)
            return HookResult.allow()

        result = await kit.process_inbound(message(), room_id="room")

        assert await state.get("k") == result.event.id
        home.clock.jump(10)
        assert await state.get("k") is None
        assert await texts(kit) == ["hi"]


@pytest.mark.parametrize("where", ["observer", "handler", "durable hook", "task that outlives a hook"])
async def test_elsewhere_each_write_is_a_commit_of_its_own(home: Home, where: str) -> None:
    async with home.kit(LiveProbe()) as kit:
        state = kit.state("n")
        ended = anyio.Event()

        async def note(*_: Any) -> None:
            await state.put("k", 1)
            assert await held(kit) == {"k": "1"}
            ended.set()

        if where == "observer":
            kit.hook(AFTER)(note)
        elif where == "handler":
            kit.on("event_processed")(note)
        elif where == "durable hook":
            kit.hook(AFTER, durable=True)(note)
        else:

            @kit.hook(BEFORE)
            async def leave(event: RoomEvent, context: RoomContext) -> HookResult:
                kit.spawn(note)
                return HookResult.allow()

        await kit.process_inbound(message(), room_id="room")
        await kit.idle()

        assert ended.is_set()
        assert await state.get("k") == 1
