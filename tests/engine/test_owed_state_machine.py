"""What is owed, against what must hold, while providers do what they like and processes die, on both stores.

``test_crash_state_machine.py`` has every verb and providers that work. Here the verbs are few, and everything else goes
wrong: providers refuse, raise and lose replies, bots fail, channels are paused and come and go, time passes, an
operator tries again, and the process dies between the verbs or anywhere in one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from roomkit_core import (
    Channel,
    ChannelType,
    ConversationStore,
    Delivery,
    Receipt,
    RoomEvent,
    RoomKit,
    TextContent,
    WorkFilter,
    WorkKind,
    WorkState,
)
from roomkit_core.models.work import OPEN_STATES
from roomkit_testkit.stores.clock import ManualClock
from tests.engine.mortal import LATER, InFiles, InMemory, Mortal, Remains
from tests.support.channels import Answering, LiveProbe, message, text_of
from tests.support.kits import make_room, rows_of, texts_of

RETRIED = {WorkState.FAILED, WorkState.DEAD, WorkState.EXPIRED, WorkState.PARTIAL, WorkState.QUARANTINED}


class World:
    """What outlives every process: the provider, and how everybody behaves.

    Attributes:
        phone, bot: How they behave from now on.
        requests: Each part that reached the provider: its key, its text, and whether its row was marked then.
    """

    def __init__(self) -> None:
        self.phone = self.bot = "well"
        self.requests: list[tuple[str, str, bool]] = []


class Phone(Channel):
    """One process's way to the provider; nobody hears from a dead one."""

    channel_type = ChannelType("phone")
    guarantee = "at_least_once"
    failure_threshold = 1_000_000  # the breaker has tests of its own

    def __init__(self, world: World, store: ConversationStore) -> None:
        super().__init__("phone")
        self.is_dead = False
        self._world = world
        self._store = store

    async def send(self, delivery: Delivery) -> Receipt:
        [row] = await self._store.list_work(WorkFilter(row_id=delivery.id), limit=1)
        behaviour = self._world.phone
        if self.is_dead or behaviour == "vanish":
            raise ConnectionResetError("the connection broke")
        if behaviour == "refuse":
            return Receipt.failed("provider.refused", "no such number")
        if behaviour == "later":
            return Receipt.failed("provider.busy", "not now", retryable=True)
        self._world.requests.append((delivery.part_key, text_of_part(delivery), row.maybe_sent))
        if behaviour == "lose":
            raise ConnectionResetError("the reply was lost")
        return Receipt.sent(f"id-{len(self._world.requests)}")


def text_of_part(delivery: Delivery) -> str:
    return str(getattr(delivery.part, "body", ""))


class OwedMachine(Mortal, RuleBasedStateMachine):
    """A room with somebody who speaks, a phone and a bot."""

    remains: type[Remains]

    @initialize()
    def start(self) -> None:
        self.numbers = count()
        self.world = World()
        self.clock = ManualClock()
        self.stores = self.remains(self.clock)
        self.said: dict[str, bool] = {}  # each text, and whether it must be there
        self.keys: dict[str, str] = {}
        self.start_on(self.stores.first())
        self.portal.call(make_room, self.kit, "room", "live", "phone", "ai")

    def start_on(self, store: ConversationStore) -> None:
        self.store = store
        self.portal.call(self._make)
        self.running, _ = self.portal.start_task(self.kit.run)

    async def _make(self) -> None:
        async def reply(event: RoomEvent) -> list[str]:
            if self.world.bot == "raise":
                raise RuntimeError("the model is overloaded")
            return [f"re {text_of(event)}"] if text_of(event).startswith("?") else []

        self.kit = RoomKit(self.store, clock=self.clock)
        self.phone = Phone(self.world, self.store)
        for channel in (LiveProbe(), self.phone, Answering(reply=reply)):
            self.kit.register_channel(channel)

    def teardown(self) -> None:
        if not hasattr(self, "running"):
            return
        self.portal.call(self._end)
        self.portal.call(self.kit.close)
        self.running.cancel()
        self.stores.clean()

    # --- saying ---

    def new_text(self, question: bool) -> str:
        return f"{'?' if question else ''}{next(self.numbers)}"

    def saying(self, text: str, way: str) -> Callable[[], Awaitable[Any]]:
        """The verb that brings the text in."""
        kit = self.kit
        if way == "sent":
            return lambda: kit.send_event("room", "live", TextContent(body=text))
        incoming = message(text, idempotency_key=self.keys.get(text))
        if way == "journaled":
            return lambda: kit.accept_inbound(incoming, room_id="room")
        return lambda: kit.process_inbound(incoming, room_id="room", wait="committed")

    async def _do(self, verb: Callable[[], Awaitable[Any]]) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._let_leases_end)
            await verb()
            group.cancel_scope.cancel()
        await self.kit.idle()

    async def _let_leases_end(self) -> None:
        """Whoever speaks waits for what the same person has in the journal, and a dead process may have it in hand."""
        journaled = WorkFilter(kinds=frozenset({WorkKind.INBOUND}), states=OPEN_STATES)
        while True:
            await anyio.wait_all_tasks_blocked()
            if await self.store.list_work(journaled, limit=1):
                self.clock.advance(LATER)

    @rule(way=st.sampled_from(["direct", "journaled", "sent"]), question=st.booleans(), is_keyed=st.booleans())
    def somebody_speaks(self, way: str, question: bool, is_keyed: bool) -> None:
        text = self.new_text(question)
        if is_keyed and way != "sent":
            self.keys[text] = f"key {text}"
        self.said[text] = True
        self.portal.call(self._do, self.saying(text, way))

    @rule(data=st.data(), way=st.sampled_from(["direct", "journaled"]))
    def somebody_repeats(self, data: st.DataObject, way: str) -> None:
        if self.keys:
            text = data.draw(st.sampled_from(sorted(self.keys)))
            self.said[text] = True
            self.portal.call(self._do, self.saying(text, way))

    # --- what goes wrong ---

    @rule(how=st.sampled_from(["well", "refuse", "later", "vanish", "lose"]))
    def the_provider_behaves(self, how: str) -> None:
        self.world.phone = how

    @rule(how=st.sampled_from(["well", "raise"]))
    def the_bot_behaves(self, how: str) -> None:
        self.world.bot = how

    @rule(seconds=st.sampled_from([1.0, 10.0, 100.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.portal.call(self._pass, seconds)

    async def _pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await anyio.wait_all_tasks_blocked()
        await self.kit.idle()

    @rule(is_paused=st.booleans(), channel=st.sampled_from(["phone", "ai"]))
    def a_channel_is_paused_or_resumed(self, is_paused: bool, channel: str) -> None:
        deliveries = self.kit.deliveries
        self.portal.call(self._do, lambda: (deliveries.pause if is_paused else deliveries.resume)(channel))

    @rule()
    def the_phone_leaves_and_comes_back(self) -> None:
        async def verb() -> None:
            await self.kit.detach_channel("room", "phone")
            await self.kit.attach_channel("room", "phone")

        self.portal.call(self._do, verb)

    @rule()
    def an_operator_tries_the_last_failure_again(self) -> None:
        rows = self.portal.call(rows_of, self.kit)
        failed = [row for row in rows if row.state in RETRIED and row.kind is not WorkKind.INBOUND]
        if failed:
            self.portal.call(self._do, lambda: self.kit.deliveries.retry(failed[-1].id))

    # --- dying ---

    @rule()
    def the_process_dies(self) -> None:
        self.die()

    @rule(
        way=st.sampled_from(["direct", "journaled", "sent"]),
        question=st.booleans(),
        is_keyed=st.booleans(),
        steps=st.one_of(st.integers(0, 20), st.integers(0, 100), st.sampled_from([200, 400])),
    )
    def the_process_dies_while_somebody_speaks(self, way: str, question: bool, is_keyed: bool, steps: int) -> None:
        text = self.new_text(question)
        if is_keyed and way != "sent":
            self.keys[text] = f"key {text}"
        has_returned, heir = self.portal.call(self.die_within, self.saying(text, way), steps)
        self.said[text] = has_returned
        self.inherit(heir)

    async def fall_silent(self) -> None:
        self.phone.is_dead = True

    async def catch_up(self) -> None:
        await self._pass(0.0)

    # --- what must hold ---

    async def _end(self) -> None:
        """Everything is well again, and all that is owed comes to its end."""
        self.world.phone = self.world.bot = "well"
        for channel in ("phone", "ai"):
            await self.kit.deliveries.resume(channel)
        for _ in range(100):
            if await self.kit.idle() == 0:
                break
            await self._pass(1000.0)
        rows = await rows_of(self.kit)
        assert [row for row in rows if row.is_open] == []

        events = await self.store.list_events("room", limit=1_000_000)
        assert [event.index for event in events] == list(range(len(events)))
        texts = await texts_of(self.kit, "room")
        assert len(texts) == len(set(texts)), "each once"
        assert {text for text, must_be in self.said.items() if must_be} <= set(texts)
        assert {text for text in texts if not text.startswith("re ")} <= set(self.said)

        self._check_questions(rows, events)
        self._check_provider(rows, texts)

    def _check_questions(self, rows: list[Any], events: list[RoomEvent]) -> None:
        """Each question is answered once or ended with a reason."""
        texts = [text_of(event) for event in events]
        by_id = {event.id: text_of(event) for event in events}
        for row in rows:
            if row.kind is not WorkKind.ASK:
                continue
            text = by_id[row.event_id]
            if row.state is not WorkState.ANSWERED:
                assert row.code, row
            elif text.startswith("?"):
                assert texts.index(f"re {text}") > texts.index(text)

    def _check_provider(self, rows: list[Any], texts: list[str]) -> None:
        """Every possible duplicate is marked; who has it is told so; the order is that of the lane."""
        seen: set[str] = set()
        for key, text, is_marked in self.world.requests:
            assert key not in seen or is_marked, f"an unmarked duplicate of {text}"
            seen.add(key)
        deliveries = [row for row in rows if row.kind is WorkKind.DELIVERY]
        got = {key.partition(":")[0] for key in seen}
        for row in deliveries:
            if row.state is WorkState.SENT:
                assert row.provider_key in got, row
            else:
                assert row.code, row
            copies = [other for other in deliveries if other.provider_key == row.provider_key]
            if row.provider_key in got:
                assert any(other.state is WorkState.SENT or other.maybe_sent for other in copies), row
        plain = {row.provider_key for row in deliveries if row.state is WorkState.SENT and row.retry_of is None}
        firsts = dict.fromkeys(text for key, text, _ in self.world.requests if key.partition(":")[0] in plain)
        assert list(firsts) == [text for text in texts if text in firsts], "in the order of the timeline"


def run(remains: type[Remains], backend: str, examples: int, is_fixed: bool) -> None:
    with start_blocking_portal(backend) as portal:
        run_state_machine_as_test(
            type("Machine", (OwedMachine,), {"portal": portal, "remains": remains}),
            settings=settings(
                max_examples=examples,
                derandomize=is_fixed,
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("remains", "examples"), [(InMemory, 12), (InFiles, 4)])
def test_what_is_owed_comes_to_a_true_end_whatever_goes_wrong(
    remains: type[Remains], examples: int, backend: str
) -> None:
    run(remains, backend, examples, is_fixed=True)


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("remains", "examples"), [(InMemory, 200), (InFiles, 50)])
def test_what_is_owed_comes_to_a_true_end_in_hundreds_of_lives(
    remains: type[Remains], examples: int, backend: str
) -> None:
    run(remains, backend, examples, is_fixed=False)
