"""Rooms against their model while the process is killed and begins anew, on both stores.

The state machine of ``test_rooms_state_machine.py`` with one more kind of step: the process dies, between two verbs, as
soon as a verb has returned, or anywhere in one. What it leaves is what is in the store at that moment: a copy of the
tables, or of the file and its log. Whatever was promised must be so in the process that comes after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from roomkit_core import Access, ConversationStore, InboundMessage, InboundResult, WorkFilter
from roomkit_testkit.stores.clock import ManualClock
from tests.engine.mortal import LATER, InFiles, InMemory, Mortal, Remains
from tests.engine.test_rooms_state_machine import SOURCES, RoomsMachine, Told, senders
from tests.support.channels import message, text_of


class CrashMachine(Mortal, RoomsMachine):
    """The verbs, and processes that die."""

    remains: type[Remains]
    logs: tuple[list[Any], list[Any], list[Any], list[Any], list[Any]]
    is_doomed = False

    @initialize()
    def start(self) -> None:
        super().start()
        self.a_room_is_made("r1", False)
        for channel in ("web", "sms", "ai"):  # most that can be lost can be lost here
            self.a_channel_is_attached("r1", channel, Access.READ_WRITE, "all", "all", None, False, False)

    def begin(self, store: ConversationStore, **options: Any) -> None:
        self.clock = ManualClock()
        self.stores = self.remains(self.clock)
        self.logs = [], [], [], [], []
        self.start_on(self.stores.first())

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "stores"):
            self.stores.clean()

    # --- dying ---

    def start_on(self, store: ConversationStore) -> None:
        self.store = store
        super().begin(store, clock=self.clock)

    async def fall_silent(self) -> None:
        self.logs = self.sms.sent, self.mail.sent, self.ai.asked, self.web.seen, self.web.got
        self.sms.sent, self.mail.sent, self.ai.asked, self.web.seen, self.web.got = [], [], [], [], []

    async def _make(self, store: ConversationStore, options: dict[str, Any]) -> None:
        """What the dead process told is remembered before the next one starts, for it tells what is owed at once."""
        self.sms.sent, self.mail.sent, self.ai.asked, self.web.seen, self.web.got = self.logs
        await super()._make(store, options)

    async def catch_up(self) -> None:
        for _ in range(20):
            if await self.kit.idle() == 0:
                return
            self.clock.advance(LATER)
            await anyio.wait_all_tasks_blocked()
        raise AssertionError(f"still owed: {await self.store.list_work(WorkFilter(), limit=100)}")

    def do(self, verb: Callable[[], Awaitable[Any]], modelled: Callable[[], Any]) -> tuple[Any, Any]:
        answer = super().do(verb, modelled)
        if self.is_doomed:
            self.is_doomed = False
            self.die()
        return answer

    @rule()
    def the_process_dies(self) -> None:
        self.die()

    @rule()
    def the_process_dies_after_the_next_verb(self) -> None:
        self.is_doomed = True

    @rule(
        channel=st.sampled_from(SOURCES),
        sender=senders,
        room_id=st.sampled_from(["r1", "r1", "r1", "r2"]),
        is_named=st.sampled_from([True, True, True, False]),
        question=st.booleans(),
        steps=st.one_of(st.integers(0, 20), st.integers(0, 100), st.sampled_from([200, 400, 800])),
        is_journaled=st.booleans(),
    )
    def the_process_dies_while_a_message_arrives(
        self,
        channel: str,
        sender: str,
        room_id: str,
        is_named: bool,
        question: bool,
        steps: int,
        is_journaled: bool,
    ) -> None:
        """Its sender hears nothing and says it again, with its key; what is in the journal comes in by itself."""
        text = f"{'?' if question else ''}{next(self.texts)}"
        self.made_up += 1
        new_id = f"made up {self.made_up}"
        named = room_id if is_named or channel == "web" else None  # web has no conversations by which to find a room
        key = f"key {text}"
        incoming = message(text, channel_id=channel, sender_id=sender, idempotency_key=key)
        verb = self.kit.accept_inbound if is_journaled else self.kit.process_inbound
        self.forget_what_was_told()

        has_returned, heir = self.portal.call(self.die_within, lambda: verb(incoming, room_id=named), steps)
        self.inherit(heir)
        result = None
        if not (is_journaled and has_returned):
            result = self.portal.call(self._say_again, incoming, named)

        verdict, told = self.model.inbound(channel, sender, named, new_id, text, key, "all")
        if new_id in self.model.rooms:
            self.adopt(new_id, self.portal.call(self._room_of, channel, sender))
        if result is not None:
            assert (result.blocked, result.reason) == (verdict.reason is not None, verdict.reason)
            self.check_event(result.event, verdict.said, verdict.room)
        self.portal.call(self._check_told, told)

    async def _say_again(self, incoming: InboundMessage, room_id: str | None) -> InboundResult:
        result = await self.kit.process_inbound(incoming, room_id=room_id)
        await self.catch_up()
        return result

    async def _room_of(self, channel: str, sender: str) -> str:
        found = await self.store.find_conversation((channel, sender))
        assert found is not None
        return found

    async def _check_told(self, told: Told) -> None:
        """Everybody was told what the model says; twice only where the row says that it may be."""
        heard: Counter[tuple[str, str]] = Counter()
        heard.update(("ai", text_of(event)) for event in self.ai.asked)
        for channel in (self.sms, self.mail):
            heard.update((channel.channel_id, sent.parts[0].body) for sent in channel.sent)
        expected = Counter((channel, text) for channel, _, text in told if channel != "web")
        marked = [row for row in await self.store.list_work(WorkFilter(), limit=10_000) if row.maybe_sent]
        assert set(heard) == set(expected)
        for (channel_id, text), times in heard.items():
            is_marked = any(row.channel_id == channel_id and repr(text) in repr(row.payload) for row in marked)
            assert times >= expected[channel_id, text]
            assert times == expected[channel_id, text] or channel_id == "ai" or is_marked


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("remains", "examples"), [(InMemory, 40), (InFiles, 12)])
def test_rooms_do_what_the_documentation_says_whenever_the_process_dies(
    remains: type[Remains], examples: int, backend: str
) -> None:
    run(remains, backend, examples)


@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("remains", "examples"), [(InMemory, 200), (InFiles, 50)])
def test_rooms_do_what_the_documentation_says_through_thousands_of_deaths(
    remains: type[Remains], examples: int, backend: str
) -> None:
    run(remains, backend, examples)


def run(remains: type[Remains], backend: str, examples: int) -> None:
    with start_blocking_portal(backend) as portal:
        run_state_machine_as_test(
            type("Machine", (CrashMachine,), {"portal": portal, "remains": remains}),
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
