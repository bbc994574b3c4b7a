"""Random scenarios over everything that hooks, bots, observers and callers can do at the same time.

Two kits on one store whose commits take a random while; rooms; hooks that say things in their room and beyond it,
change bindings, start children, raise and hang; bots that answer; callers that are cancelled. Every word that is said
is unique and remembered with the hook call that said it, so that afterwards each has to be there exactly as often as
it should.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from roomkit_core import (
    ConflictError,
    Delivery,
    EventStatus,
    EventType,
    HookExecution,
    HookResult,
    HookTrigger,
    ProcessTimeoutError,
    RoomContext,
    RoomEvent,
    RoomKit,
    WorkKind,
    WorkRow,
    WorkState,
)
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of
from tests.support.rooms import check_at_rest, kit_with, say, timeline, work
from tests.support.stepping import stepped
from tests.support.stores import SlowStore

LIMIT = 20.0
"""Seconds after which a scenario counts as hanging; one takes a twentieth of a second."""

AMPLE = 600.0
"""Seconds for messages and hooks: nothing that hangs ends by a timeout of its own before :data:`LIMIT`."""


@dataclass(eq=False)
class Call:
    """One call of one hook about one event.

    Attributes:
        parent: The call whose unit the event belongs to; None for an event that has a unit of its own.
        attempt: Which try of the unit.
        ok: Whether it ended well, so that its effects stay.
        is_loose: Whether its end may have come too late without its knowing, so that nothing is certain.
        said: What it said in its room.
        marks: What it wrote into the metadata of a binding of its room.
        changes: Bookkeeping that it caused.
    """

    hook: str
    event: RoomEvent
    attempt: int
    parent: Call | None
    is_loose: bool
    ok: bool = False
    said: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)


class Scenario:
    """One random scenario.

    Args:
        seed: All choices follow from it.
        group: Where callers and stray children run.
    """

    def __init__(self, seed: int, group: TaskGroup) -> None:
        self.dice = random.Random(seed)
        self.pauses = random.Random(seed + 1)
        self.group = group
        self.numbers = count(1)
        self.rooms = [f"room-{number}" for number in range(self.dice.randint(1, 3))]
        self.kits: list[RoomKit] = []
        self.providers: list[list[Delivery]] = [[], []]
        self.calls: list[Call] = []
        self.joined: dict[str, Call] = {}  # own-room words of a hook, to the call that says them
        self.loose: set[str] = set()  # words said beyond a room by something whose end is uncertain
        self.settled: list[str] = []  # words of which it was reported that they are there
        self.reported: list[RoomEvent] = []  # events that callers got back
        self.changes: Counter[str] = Counter()  # bookkeeping that callers caused
        self.doubtful: Counter[str] = Counter()  # the same, where nobody knows whether it was committed
        self.unexpected: list[Exception] = []  # what hooks met and should not have; the kit would swallow it
        self.strays = 0

    # ------------------------------------------------------------------------------------------------- the stage

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[None]:
        """Two kits with their channels and hooks."""
        store = SlowStore(self._pause)
        async with AsyncExitStack() as stack:
            for number in range(2):
                sms, pager = ScriptedChannel("sms", self._provider), ScriptedChannel("pager", self._provider)
                sms.sent, pager.sent = self.providers
                bot = Answering(reply=partial(self._think, number))
                kit = await stack.enter_async_context(
                    kit_with(
                        *(LiveProbe("live"), LiveProbe("bot"), sms, bot),
                        store=store,
                        rooms=self.rooms,
                        spare=[pager],
                        max_chain_depth=3,
                        process_timeout=AMPLE,
                    )
                )
                self.kits.append(kit)
                self._hooks(kit, number)
            yield

    async def _pause(self) -> None:
        for _ in range(self.pauses.choice([0, 0, 1, 2, 5])):
            await anyio.lowlevel.checkpoint()

    async def _wait(self) -> None:
        for _ in range(self.dice.choice([0, 1, 1, 3, 8])):
            await anyio.lowlevel.checkpoint()

    def _provider(self, delivery: Delivery) -> str:
        return self.dice.choice(["send"] * 20 + ["fail", "raise", "later"])

    def _word(self, kind: str) -> str:
        return f"{kind} {next(self.numbers)}"

    def _hooks(self, kit: RoomKit, number: int) -> None:
        for position in range(self.dice.randint(1, 4)):
            kind = self.dice.choice(["acts", "acts", "acts", "raises", "hangs", "blocks"])
            name = f"{kind} {number}.{position}"
            options: dict[str, Any] = {
                "priority": self.dice.randint(-5, 5),
                "on_error": self.dice.choice(["allow", "block"]),
                "timeout": 0.005 if kind == "hangs" else AMPLE,
            }
            hook = self._hook(kit, name, kind)
            if self.dice.random() < 0.3:
                room_id = self.dice.choice(self.rooms)
                kit.add_room_hook(room_id, HookTrigger.BEFORE_BROADCAST, HookExecution.SYNC, hook, name=name, **options)
            else:
                kit.hook(HookTrigger.BEFORE_BROADCAST, name=name, **options)(hook)
        if self.dice.random() < 0.5:
            kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC)(self._observer(kit))

    # ---------------------------------------------------------------------------------------------------- hooks

    def _hook(self, kit: RoomKit, name: str, kind: str) -> Any:
        async def hook(event: RoomEvent, context: RoomContext) -> Any:
            parent = self.joined.get(text_of(event))
            is_loose = kind == "hangs" or (text_of(event) in self.loose if parent is None else parent.is_loose)
            call = Call(name, event, context.attempt, parent, is_loose)
            self.calls.append(call)
            for _ in range(self.dice.choice([0, 1, 1, 2])):
                await self._act(kit, call)
            if kind == "hangs":
                await anyio.sleep_forever()
            if kind == "raises" and self.dice.random() < 0.5:
                if self.dice.random() < 0.5:
                    return "nonsense"
                raise RuntimeError("the hook broke")
            call.ok = True
            if kind == "blocks" and self.dice.random() < 0.3:
                return HookResult.block("no")
            return HookResult.allow()

        return hook

    async def _act(self, kit: RoomKit, call: Call) -> None:
        await self._wait()
        act = self.dice.choice(
            [
                *(self._say, self._say, self._bring_in, self._mark, self._mute, self._attach),
                *(self._say_beyond, self._say_beyond, self._children, self._stray),
            ]
        )
        try:
            await act(kit, call)
        except ConflictError as error:
            # These are ordinary errors, and below a stray child its hook may end; others come from a busy room beyond.
            if not error.retryable and error.code not in ("loop", "lock.self", "hook.ended"):
                self.unexpected.append(error)
        except ProcessTimeoutError as error:
            if not call.is_loose and not self._is_stray(call):
                self.unexpected.append(error)
            raise
        except Exception as error:
            self.unexpected.append(error)
            raise

    async def _say(self, kit: RoomKit, call: Call) -> None:
        word = self._word("said")
        self.joined[word] = call
        await say(kit, word, room_id=call.event.room_id)
        call.said.append(word)

    async def _bring_in(self, kit: RoomKit, call: Call) -> None:
        word = self._word("brought in")
        self.joined[word] = call
        arrived = message(word, channel_id="bot", idempotency_key=word if self.dice.random() < 0.5 else None)
        result = await kit.process_inbound(arrived, room_id=call.event.room_id)
        assert result.event is not None
        call.said.append(word)

    async def _mark(self, kit: RoomKit, call: Call) -> None:
        mark = self._word("mark")
        await kit.update_binding_metadata(call.event.room_id, "bot", {mark: True})
        call.marks.append(mark)
        call.changes["channel_updated"] += 1

    async def _mute(self, kit: RoomKit, call: Call) -> None:
        muted = self.dice.random() < 0.3
        verb = kit.mute if muted else kit.unmute
        await verb(call.event.room_id, "live")
        call.changes["channel_muted" if muted else "channel_unmuted"] += 1

    async def _attach(self, kit: RoomKit, call: Call) -> None:
        await kit.attach_channel(call.event.room_id, "pager")
        call.changes["channel_attached"] += 1

    async def _say_beyond(self, kit: RoomKit, call: Call) -> None:
        others = [room_id for room_id in self.rooms if room_id != call.event.room_id]
        if not others:
            return
        word = self._word("beyond")
        if call.is_loose:
            self.loose.add(word)
        await say(kit, word, room_id=self.dice.choice(others))
        self.settled.append(word)

    async def _children(self, kit: RoomKit, call: Call) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._say, kit, call)
                group.start_soon(self._mark, kit, call)
        except* ConflictError:
            pass

    async def _stray(self, kit: RoomKit, call: Call) -> None:
        """A child that may join or outlive its hook; what it says is there once at most."""
        room_id, word = call.event.room_id, self._word("stray")
        if call.is_loose:  # the limit of the hook that it joins is its own as well
            self.loose.add(word)

        async def wander() -> None:
            await self._wait()
            try:
                await say(kit, word, room_id=room_id)
            except (ConflictError, ProcessTimeoutError):  # it joined a hook, whose time was over
                pass
            finally:
                self.strays -= 1

        self.strays += 1
        self.group.start_soon(wander)

    def _is_stray(self, call: Call | None) -> bool:
        while call is not None:
            if text_of(call.event).startswith("stray"):
                return True
            call = call.parent
        return False

    # ----------------------------------------------------------------------------------------- observers and bots

    def _observer(self, kit: RoomKit) -> Any:
        async def observe(event: RoomEvent, context: RoomContext) -> None:
            await self._wait()
            if self.dice.random() < 0.2:
                word = self._word("observed")
                try:
                    await say(kit, word, room_id=event.room_id)
                    self.settled.append(word)
                except ConflictError:
                    return
            if self.dice.random() < 0.1:
                raise RuntimeError("the observer broke")

        return observe

    async def _think(self, number: int, event: RoomEvent) -> list[str]:
        await self._wait()
        luck = self.dice.random()
        if luck < 0.1:
            raise RuntimeError("the model broke")
        if luck < 0.2:
            word = self._word("thinking")
            try:
                await say(self.kits[number], word, room_id=event.room_id, channel_id="ai")
                self.settled.append(word)
            except ConflictError:
                pass
        return [self._word("answer") for _ in range(self.dice.choice([0, 0, 1, 2]))]

    # -------------------------------------------------------------------------------------------------- callers

    async def run(self) -> None:
        """All callers, at the same time, until nothing moves any more."""
        async with anyio.create_task_group() as callers:
            for _ in range(self.dice.randint(4, 14)):
                callers.start_soon(self._caller)
        for _ in range(3):  # stray children bring answers, and a row of one kit may have waited for the other
            while self.strays:
                await anyio.lowlevel.checkpoint()
            for kit in self.kits:
                await kit.idle()

    async def _caller(self) -> None:
        for _ in range(self.dice.randint(0, 20)):
            await anyio.lowlevel.checkpoint()
        room_id = self.dice.choice(self.rooms)
        usual = self.rooms.index(room_id) % 2
        kit = self.kits[usual if self.dice.random() < 0.7 else 1 - usual]
        act = self.dice.choice([self._arrive] * 5 + [self._redeliver, self._send, self._change])
        cancel_at = self.dice.randint(1, 40) if self.dice.random() < 0.3 else 0
        with anyio.CancelScope() as scope:
            await stepped(act(kit, room_id), lambda number, yielded: scope.cancel() if number == cancel_at else None)

    def _expect_retryable(self, error: ConflictError) -> None:
        """Five conflicts in a row happen between two kits; nothing else should come out of a call from outside."""
        if not error.retryable:
            raise error

    async def _arrive(self, kit: RoomKit, room_id: str) -> None:
        word = self._word("message")
        key = word if self.dice.random() < 0.5 else None
        wait = self.dice.choice(["settled", "attempted", "committed"])
        try:
            result = await kit.process_inbound(message(word, idempotency_key=key), room_id=room_id, wait=wait)
        except ConflictError as error:
            self._expect_retryable(error)
            return
        if result.event is not None:
            self.reported.append(result.event)

    async def _redeliver(self, kit: RoomKit, room_id: str) -> None:
        """One message that comes to both kits at the same time, and again later."""
        arrived = message(self._word("message"), idempotency_key=self._word("key"))
        ids: set[str] = set()

        async def deliver(kit: RoomKit) -> None:
            try:
                result = await kit.process_inbound(arrived, room_id=room_id)
            except ConflictError as error:
                self._expect_retryable(error)
                return
            if result.event is not None:
                ids.add(result.event.id)
                self.reported.append(result.event)

        async with anyio.create_task_group() as group:
            for each in self.kits:
                group.start_soon(deliver, each)
        await deliver(kit)
        assert len(ids) <= 1, "every delivery of one message gets the same event"

    async def _send(self, kit: RoomKit, room_id: str) -> None:
        word = self._word("sent")
        try:
            event = await say(kit, word, room_id=room_id)
        except ConflictError as error:
            self._expect_retryable(error)
            return
        self.reported.append(event)
        self.settled.append(word)

    async def _change(self, kit: RoomKit, room_id: str) -> None:
        self.doubtful["channel_updated"] += 1
        try:
            await kit.update_binding_metadata(room_id, "bot", {self._word("outside"): True})
        except ConflictError as error:
            self._expect_retryable(error)
            self.doubtful["channel_updated"] -= 1
            return
        self.doubtful["channel_updated"] -= 1
        self.changes["channel_updated"] += 1

    # ---------------------------------------------------------------------------------------------------- the end

    async def check(self) -> None:
        """Everything is there as often as it should, and nothing is left over."""
        assert not self.unexpected, f"in hooks: {self.unexpected}"
        for kit in self.kits:
            await check_at_rest(kit, *self.rooms)
        kit = self.kits[0]
        timelines = {room_id: await timeline(kit, room_id) for room_id in self.rooms}
        events = [event for found in timelines.values() for event in found]
        self._check_words(events)
        await self._check_bookkeeping(kit, events)
        self._check_reports(events)
        rows = await work(kit)
        self._check_rows(rows)
        self._check_deliveries(rows, timelines)
        self._check_hints()

    def _check_words(self, events: list[RoomEvent]) -> None:
        said = Counter(text_of(event) for event in events if event.type == EventType.MESSAGE)
        twice = [word for word, times in said.items() if times > 1]
        assert not twice, f"said twice: {twice}"
        stored = {event.id for event in events}
        self.last_try: dict[str, int] = {}
        for call in self.calls:
            self.last_try[call.event.id] = max(call.attempt, self.last_try.get(call.event.id, 0))
        for call in self.calls:
            if self._is_loose(call):
                continue
            stays = self._stays(call, stored)
            for word in call.said:
                assert (word in said) is stays, f"{word!r} of {call.hook!r}, try {call.attempt}: expected {stays}"
        missing = [word for word in self.settled if word not in said]
        assert not missing, f"reported and not there: {missing}"

    def _is_loose(self, call: Call | None) -> bool:
        while call is not None:
            if call.is_loose and call.hook.startswith("hangs") and call.parent is None:
                return False  # a hanging hook never ends well: what it did in its room is not there, for certain
            if call.is_loose and call.parent is None:
                return True
            call = call.parent
        return False

    def _stays(self, call: Call, stored: set[str]) -> bool:
        """Whether the effects of a call belong to something that was committed."""
        if not call.ok:
            return False
        if call.parent is None:
            return call.event.id in stored and call.attempt == self.last_try[call.event.id]
        return text_of(call.event) in call.parent.said and self._stays(call.parent, stored)

    async def _check_bookkeeping(self, kit: RoomKit, events: list[RoomEvent]) -> None:
        stored = {event.id for event in events}
        marks: set[str] = set()
        for room_id in self.rooms:
            marks |= set((await kit.get_binding(room_id, "bot")).metadata)
        least = Counter(self.changes)
        most = Counter(self.changes) + self.doubtful
        least["channel_attached"] += 4 * len(self.rooms)
        most["channel_attached"] += 4 * len(self.rooms)
        for call in self.calls:
            if self._is_loose(call):
                most.update(call.changes)
                continue
            stays = self._stays(call, stored)
            for mark in call.marks:
                assert (mark in marks) is stays, f"{mark!r} of {call.hook!r}, try {call.attempt}: expected {stays}"
            if stays:
                least.update(call.changes)
                most.update(call.changes)
        found = Counter(str(event.type) for event in events if event.type != EventType.MESSAGE)
        for kind in {*found, *least}:
            assert least[kind] <= found[kind] <= most[kind], f"{kind}: {found[kind]}, not {least[kind]}-{most[kind]}"

    def _check_reports(self, events: list[RoomEvent]) -> None:
        stored = {event.id: event for event in events}
        for event in self.reported:
            there = stored.get(event.id)
            assert there is not None, f"{text_of(event)!r} was reported and is not there"
            assert (there.index, there.status, there.blocked_by) == (event.index, event.status, event.blocked_by)

    def _check_rows(self, rows: list[WorkRow]) -> None:
        for row in rows:
            assert row.state is not WorkState.IN_FLIGHT, f"nobody works on {row.id}"
            is_due = row.due is not None and row.due <= self.kits[0]._engine.ports.time()
            assert not row.is_open or not is_due, f"{row.id} is due and nobody cares"

    def _check_deliveries(self, rows: list[WorkRow], timelines: dict[str, list[RoomEvent]]) -> None:
        owed = Counter((row.event_id, row.channel_id) for row in rows if row.kind is WorkKind.DELIVERY)
        asked = Counter((row.event_id, row.channel_id) for row in rows if row.kind is WorkKind.ASK)
        assert all(times == 1 for times in (*owed.values(), *asked.values()))
        for found in timelines.values():
            for event in found:
                if event.type == EventType.MESSAGE:
                    expected = int(event.status is EventStatus.DELIVERED)
                    assert owed[event.id, "sms"] == expected, f"{text_of(event)!r}: {owed[event.id, 'sms']} rows"
                    assert asked[event.id, "ai"] <= expected
        for sent in self.providers:
            keys = [delivery.key for delivery in sent]
            assert len(keys) == len(set(keys)), "nothing is sent twice"
            for room_id in self.rooms:
                indexes = [delivery.event.index for delivery in sent if delivery.event.room_id == room_id]
                assert indexes == sorted(indexes), "a lane is in order"

    def _check_hints(self) -> None:
        for kit in self.kits:
            live: Any = kit.get_channel("live")
            assert live.waiting == []
            for room_id in self.rooms:
                indexes = [event.index for event, _ in live.seen if event.room_id == room_id]
                assert indexes == sorted(indexes), "hints come in the order of the room"


async def run_scenario(seed: int) -> None:
    """One scenario; what goes wrong in it is raised with the seed that brings it back."""
    trio = sys.modules.get("trio")
    if trio is not None:
        trio._core._run._r.seed(seed)  # which task goes first is drawn by lot there
    try:
        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as group:
                scenario = Scenario(seed, group)
                async with scenario.stage():
                    await scenario.run()
                    await scenario.check()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        print(f"the scenario of seed {seed} failed")
        raise
