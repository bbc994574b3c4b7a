"""Rooms against a simple model of the documentation, by random sequences of verbs.

The model is written from what the documentation promises, without the engine's code: plain lists and dictionaries, one
verb after the other. Each step is done to the kit and to the model, and then both are compared: what the verb returned
or raised, who was told about the message, the timeline, the bindings, and what each channel may read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from roomkit_core import (
    Access,
    ChannelCategory,
    ChannelNotFoundError,
    ConversationStore,
    ConversationTakenError,
    DuplicateError,
    InboundResult,
    InMemoryStore,
    RoomClosedError,
    RoomEvent,
    RoomExistsError,
    RoomKit,
    RoomNotFoundError,
    RoomStatus,
    Route,
    TextContent,
)
from tests.support.channels import Answering, LiveProbe, ScriptedChannel, message, text_of

ROOMS = ("r1", "r2", "r3")
CHANNELS = ("web", "sms", "mail", "ai")
SOURCES = ("web", "sms", "mail")  # channels on which messages arrive
SENDERS = ("ann", "bob")
VISIBILITIES = ("all", "none", "internal", "transport", "intelligence", "web", "sms,mail", "ai, web", "stranger")

# -------------------------------------------------------------------------------------------------------- the model


class Missing(Exception):
    """What the model raises: the class of error that the kit has to raise."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__(error.__name__)
        self.error = error


@dataclass(eq=False)
class Said:
    """One entry of a timeline."""

    type: str
    channel: str
    text: str
    visibility: str
    blocked_by: str | None = None


@dataclass
class Binding:
    category: str = "transport"
    access: str = "read_write"
    visibility: str = "all"
    muted: bool = False
    history: str = "all"
    joined_at: int = 0
    routes: dict[str, str] = field(default_factory=dict)  # who is reached: participant to address

    @property
    def reads(self) -> bool:
        return self.access in ("read_write", "read_only")

    @property
    def why_silent(self) -> str | None:
        if self.muted:
            return "source_muted"
        return None if self.access in ("read_write", "write_only") else "source_read_only"


@dataclass
class ModelRoom:
    closed: bool = False
    bindings: dict[str, Binding] = field(default_factory=dict)
    detached: set[str] = field(default_factory=set)
    timeline: list[Said] = field(default_factory=list)

    def note(self, kind: str) -> None:
        """The room keeps book."""
        self.timeline.append(Said(kind, "system", "", "internal"))


@dataclass
class Verdict:
    """What became of a message; the first verdict about a key is the only one."""

    room: ModelRoom
    said: Said | None
    reason: str | None


Told = list[tuple[str, str | None, str]]
"""(channel, address, text): who was told what."""


def is_for(visibility: str, channel: str, binding: Binding) -> bool:
    """Who an event of this visibility is meant for."""
    named = {"all": True, "none": False, "internal": False}
    named |= {kind: binding.category == kind for kind in ("transport", "intelligence")}
    return named.get(visibility, channel in [name.strip() for name in visibility.split(",")])


class Model:
    """Rooms as the documentation describes them."""

    def __init__(self) -> None:
        self.rooms: dict[str, ModelRoom] = {}
        self.conversations: dict[tuple[str, str], str] = {}
        self.verdicts: dict[tuple[str, str, str], Verdict] = {}

    def room(self, room_id: str) -> ModelRoom:
        if room_id not in self.rooms:
            raise Missing(RoomNotFoundError)
        return self.rooms[room_id]

    def binding(self, room_id: str, channel: str) -> Binding:
        if channel not in self.room(room_id).bindings:
            raise Missing(ChannelNotFoundError)
        return self.rooms[room_id].bindings[channel]

    def lives(self, room: ModelRoom) -> bool:
        return any(room is other for other in self.rooms.values())

    def release(self, room_id: str, channel: str | None = None) -> None:
        """The conversations of a room, or of one channel in it, are free."""
        self.conversations = {
            key: holder
            for key, holder in self.conversations.items()
            if holder != room_id or channel not in (None, key[0])
        }

    # --- saying something ---

    def say(self, room: ModelRoom, channel: str, author: str | None, text: str, visibility: str) -> tuple[Said, Told]:
        """Bring an event into a room; its answer follows."""
        source = room.bindings[channel]
        own = source.visibility if visibility == "all" else visibility
        said = Said("message", channel, text, own, source.why_silent)
        room.timeline.append(said)
        if said.blocked_by is not None:
            return said, []
        told: Told = []
        answers = False
        for name, binding in room.bindings.items():
            if not binding.reads or not is_for(own, name, binding):
                continue
            if binding.category == "intelligence":
                answers |= name == "ai" and channel != "ai" and text.startswith("?")
                if name == "ai" and channel != "ai":
                    told.append((name, None, text))
            elif name == "web":
                told.append((name, None, text))
            else:
                told += [(name, address, text) for address in self.addresses(binding, name == channel, author)]
        if answers:
            _, more = self.say(room, "ai", None, f"answer to {text}", "all")
            told += more
        return said, told

    def addresses(self, binding: Binding, is_source: bool, author: str | None) -> list[str | None]:
        """Where a channel delivers to: every route but the author's own, each address once."""
        if not binding.routes:
            return [] if is_source else [None]
        skipped = author if is_source else None
        return list(dict.fromkeys(address for person, address in binding.routes.items() if person != skipped))

    def inbound(
        self, channel: str, sender: str, room_id: str | None, new_id: str, text: str, key: str | None, visibility: str
    ) -> tuple[Verdict, Told]:
        """A message arrives. ``new_id`` is the id of the room if one is made up for it."""
        full_key = (channel, sender, key or "")
        if key is not None and full_key in self.verdicts:
            return self.repeat(full_key), []
        conversation = None if channel == "web" else (channel, sender)
        if room_id is None:
            room_id = self.conversations.get(conversation, new_id) if conversation else new_id
        if room_id not in self.rooms:
            self.rooms[room_id] = ModelRoom(bindings={channel: Binding()})
            self.rooms[room_id].note("channel_attached")
        room = self.rooms[room_id]
        said, reason, told = None, None, []
        if room.closed:
            reason = "room_closed"
        elif channel in room.detached:
            reason = "channel_detached"
        else:
            if channel not in room.bindings:
                room.bindings[channel] = Binding(joined_at=len(room.timeline))
                room.note("channel_attached")
            binding = room.bindings[channel]
            if conversation is not None and sender not in binding.routes:
                binding.routes[sender] = sender
                self.conversations.setdefault(conversation, room_id)
            said, told = self.say(room, channel, sender, text, visibility)
            reason = said.blocked_by
        verdict = Verdict(room, said, reason)
        if key is not None:
            self.verdicts[full_key] = verdict
        return verdict, told

    def repeat(self, key: tuple[str, str, str]) -> Verdict:
        verdict = self.verdicts[key]
        return verdict if self.lives(verdict.room) else Verdict(verdict.room, None, "deleted")

    def send(
        self, room_id: str, channel: str, author: str | None, text: str, key: str | None, visibility: str
    ) -> tuple[Said, Told]:
        """``send_event``."""
        room = self.room(room_id)
        full_key = (channel, "", key or "")
        if key is not None and full_key in self.verdicts:
            verdict = self.repeat(full_key)
            if verdict.said is None:
                raise Missing(RoomClosedError if verdict.reason == "room_closed" else DuplicateError)
            return verdict.said, []
        self.binding(room_id, channel)
        said: Said | None = None
        told: Told = []
        if not room.closed:
            said, told = self.say(room, channel, author, text, visibility)
        if key is not None:
            self.verdicts[full_key] = Verdict(room, said, said.blocked_by if said else "room_closed")
        if said is None:
            raise Missing(RoomClosedError)
        return said, told

    # --- rooms and bindings ---

    def create(self, room_id: str, exist_ok: bool) -> None:
        if room_id in self.rooms and not exist_ok:
            raise Missing(RoomExistsError)
        self.rooms.setdefault(room_id, ModelRoom())

    def close(self, room_id: str) -> None:
        self.room(room_id).closed = True
        self.release(room_id)

    def delete(self, room_id: str) -> bool:
        self.release(room_id)
        return self.rooms.pop(room_id, None) is not None

    def attach(self, room_id: str, channel: str, binding: Binding, takeover: bool) -> None:
        room = self.room(room_id)
        claimed = [] if room.closed else [(channel, address) for address in binding.routes.values()]
        if not takeover and any(self.conversations.get(key, room_id) != room_id for key in claimed):
            raise Missing(ConversationTakenError)
        self.conversations.update(dict.fromkeys(claimed, room_id))
        binding.joined_at = len(room.timeline)
        room.bindings[channel] = binding
        room.detached.discard(channel)
        room.note("channel_attached")

    def detach(self, room_id: str, channel: str) -> bool:
        room = self.room(room_id)
        if room.bindings.pop(channel, None) is None:
            return False
        room.detached.add(channel)
        self.release(room_id, channel)
        room.note("channel_detached")
        return True

    def change(self, room_id: str, channel: str, kind: str, **changes: Any) -> None:
        binding = self.binding(room_id, channel)
        for name, value in changes.items():
            setattr(binding, name, value)
        self.rooms[room_id].note(kind)


# ------------------------------------------------------------------------------------------------------ the machine

room_ids = st.sampled_from(ROOMS)
channels = st.sampled_from(CHANNELS)
senders = st.sampled_from(SENDERS)
keys = st.sampled_from([None, None, "k1", "k2"])
visibilities = st.sampled_from(["all", "all", "all", *VISIBILITIES])
accesses = st.sampled_from([Access.READ_WRITE, *Access])


class RoomsMachine(RuleBasedStateMachine):
    """Verbs in any order, on a kit and on the model of it."""

    portal: BlockingPortal

    @initialize()
    def start(self) -> None:
        self.model = Model()
        self.texts = count()
        self.made_up = 0
        self.begin(InMemoryStore())

    def begin(self, store: ConversationStore, **options: Any) -> None:
        """A process begins on the store."""
        self.web, self.sms, self.mail = LiveProbe("web"), ScriptedChannel("sms"), ScriptedChannel("mail")
        self.ai = Answering(reply=lambda event: [f"answer to {text_of(event)}"] if self.is_question(event) else [])
        self.portal.call(self._make, store, options)
        self.running, _ = self.portal.start_task(self.kit.run)

    def is_question(self, event: RoomEvent) -> bool:
        return text_of(event).startswith("?")

    async def _make(self, store: ConversationStore, options: dict[str, Any]) -> None:
        self.kit = RoomKit(store, **options)
        for channel in (self.web, self.sms, self.mail, self.ai):
            self.kit.register_channel(channel)

    def teardown(self) -> None:
        if hasattr(self, "running"):
            assert self.portal.call(self.kit.idle) == 0
            self.portal.call(self.kit.close)
            self.running.cancel()

    def do(self, verb: Callable[[], Awaitable[Any]], modelled: Callable[[], Any]) -> tuple[Any, Any]:
        """Do it to both; what they return, or None for both if both refuse."""
        error, expected = None, None
        try:
            expected = modelled()
        except Missing as missing:
            error = missing.error
        if error is None:
            return self.portal.call(self._settle, verb), expected
        with pytest.raises(error) as refused:
            self.portal.call(self._settle, verb)
        assert type(refused.value) is error
        return None, None

    async def _settle(self, verb: Callable[[], Awaitable[Any]]) -> Any:
        self.forget_what_was_told()
        result = await verb()
        await self.kit.idle()
        return result

    # --- comparing ---

    def forget_what_was_told(self) -> None:
        for log in (self.web.seen, self.web.got, self.sms.sent, self.mail.sent, self.ai.asked):
            log.clear()

    def told(self) -> Told:
        """Who the kit has told what, since the last verb."""
        assert [event for event, _ in self.web.seen] == self.web.got
        told: Told = [("web", None, text_of(event)) for event in self.web.got]
        told += [("ai", None, text_of(event)) for event in self.ai.asked]
        for channel in (self.sms, self.mail):
            told += [
                (channel.channel_id, None if sent.route is None else sent.route.address, sent.parts[0].body)
                for sent in channel.sent
            ]
        return told

    def check_event(self, event: RoomEvent | None, said: Said | None, room: ModelRoom) -> None:
        if said is None or event is None:
            assert (event, said) == (None, None)
            return
        assert text_of(event) == said.text
        assert (event.visibility, event.blocked_by) == (said.visibility, said.blocked_by)
        assert room.timeline[event.index] is said

    def check_result(self, result: InboundResult, verdict: Verdict, told: Told) -> None:
        assert (result.blocked, result.reason) == (verdict.reason is not None, verdict.reason)
        self.check_event(result.event, verdict.said, verdict.room)
        assert sorted(self.told(), key=str) == sorted(told, key=str)
        reached = {channel for channel, _, text in told if verdict.said and text == verdict.said.text}
        assert set(result.delivery_results) == reached - {"ai"}
        assert all(delivery.success for delivery in result.delivery_results.values())

    @invariant()
    def the_rooms_are_as_the_model_says(self) -> None:
        if hasattr(self, "kit"):
            self.portal.call(self._check_rooms)

    async def _check_rooms(self) -> None:
        for room_id in ROOMS:
            if room_id not in self.model.rooms:
                assert not await self.kit.store.room_exists(room_id)
        for room_id, room in self.model.rooms.items():
            await self._check_room(room_id, room)

    async def _check_room(self, room_id: str, room: ModelRoom) -> None:
        stored = await self.kit.get_room(room_id)
        assert stored.event_count == len(room.timeline)
        assert stored.status is (RoomStatus.CLOSED if room.closed else RoomStatus.ACTIVE)
        events = await self.kit.get_timeline(room_id, limit=10_000)
        assert [event.index for event in events] == list(range(len(room.timeline)))
        for event, said in zip(events, room.timeline, strict=True):
            assert (event.type, event.source.channel_id) == (said.type, said.channel)
            assert (event.visibility, event.blocked_by) == (said.visibility, said.blocked_by)
            assert event.status.value == ("blocked" if said.blocked_by else "delivered")
            assert said.type != "message" or text_of(event) == said.text
        bindings = await self.kit.list_bindings(room_id)
        assert [binding.channel_id for binding in bindings] == list(room.bindings)
        for binding, modelled in zip(bindings, room.bindings.values(), strict=True):
            assert (binding.category, binding.access.value) == (modelled.category, modelled.access)
            assert (binding.visibility, binding.muted) == (modelled.visibility, modelled.muted)
            assert (binding.history, binding.attached_index) == (modelled.history, modelled.joined_at)
            assert {person: route.address for person, route in binding.routes.items()} == modelled.routes
            await self._check_reader(room_id, binding.channel_id, modelled, room)

    async def _check_reader(self, room_id: str, channel: str, binding: Binding, room: ModelRoom) -> None:
        page = await self.kit.rooms.read(room_id, viewer=channel, limit=10_000)
        start = binding.joined_at if binding.history == "joined" else 0
        assert [event.index for event in page.events] == [
            index
            for index, said in enumerate(room.timeline)
            if index >= start
            and binding.reads
            and said.blocked_by is None
            and is_for(said.visibility, channel, binding)
        ]

    # --- saying something ---

    @rule(
        channel=st.sampled_from(SOURCES),
        sender=senders,
        room_id=st.sampled_from([None, *ROOMS]),
        question=st.booleans(),
        key=keys,
        visibility=visibilities,
    )
    def a_message_arrives(
        self, channel: str, sender: str, room_id: str | None, question: bool, key: str | None, visibility: str
    ) -> None:
        text = f"{'?' if question else ''}{next(self.texts)}"
        self.made_up += 1
        new_id = f"made up {self.made_up}"
        incoming = message(text, channel_id=channel, sender_id=sender, idempotency_key=key, visibility=visibility)
        result, (verdict, told) = self.do(
            lambda: self.kit.process_inbound(incoming, room_id=room_id),
            lambda: self.model.inbound(channel, sender, room_id, new_id, text, key, visibility),
        )
        if new_id in self.model.rooms:
            self.adopt(new_id, result.event.room_id)
        self.check_result(result, verdict, told)

    def adopt(self, made_up: str, room_id: str) -> None:
        """The kit has chosen the id of a new room."""
        assert room_id not in self.model.rooms
        self.model.rooms[room_id] = self.model.rooms.pop(made_up)
        self.model.conversations = {
            key: room_id if holder == made_up else holder for key, holder in self.model.conversations.items()
        }

    @rule(
        room_id=room_ids,
        channel=channels,
        author=st.sampled_from([None, *SENDERS]),
        question=st.booleans(),
        key=keys,
        visibility=visibilities,
    )
    def the_program_says_something(
        self, room_id: str, channel: str, author: str | None, question: bool, key: str | None, visibility: str
    ) -> None:
        text = f"{'?' if question else ''}{next(self.texts)}"
        content = TextContent(body=text)
        event, expected = self.do(
            lambda: self.kit.send_event(
                room_id, channel, content, participant_id=author, visibility=visibility, idempotency_key=key
            ),
            lambda: self.model.send(room_id, channel, author, text, key, visibility),
        )
        if event is not None:
            said, told = expected
            [room] = [room for room in self.model.rooms.values() if any(one is said for one in room.timeline)]
            self.check_event(event, said, room)
            assert sorted(self.told(), key=str) == sorted(told, key=str)

    # --- rooms and bindings ---

    @rule(room_id=room_ids, exist_ok=st.booleans())
    def a_room_is_made(self, room_id: str, exist_ok: bool) -> None:
        self.do(lambda: self.kit.create_room(room_id, exist_ok=exist_ok), lambda: self.model.create(room_id, exist_ok))

    @precondition(lambda self: self.model.rooms)
    @rule(room_id=room_ids)
    def a_room_is_closed(self, room_id: str) -> None:
        self.do(lambda: self.kit.close_room(room_id), lambda: self.model.close(room_id))

    @precondition(lambda self: self.model.rooms)
    @rule(data=st.data())
    def a_room_is_deleted(self, data: st.DataObject) -> None:
        room_id = data.draw(st.sampled_from([*self.model.rooms, "r1"]))
        deleted, expected = self.do(lambda: self.kit.delete_room(room_id), lambda: self.model.delete(room_id))
        assert deleted is expected

    @rule(
        room_id=room_ids,
        channel=channels,
        access=accesses,
        visibility=visibilities,
        history=st.sampled_from(["all", "joined"]),
        person=st.sampled_from([None, None, *SENDERS]),
        takeover=st.booleans(),
        asked=st.sampled_from([False, False, False, True]),
    )
    def a_channel_is_attached(
        self,
        room_id: str,
        channel: str,
        access: Access,
        visibility: str,
        history: str,
        person: str | None,
        takeover: bool,
        asked: bool,
    ) -> None:
        person = person if channel in ("sms", "mail") else None
        category = ChannelCategory.INTELLIGENCE if asked or channel == "ai" else ChannelCategory.TRANSPORT
        routes = {person: person} if person else {}
        binding = Binding(category.value, access.value, visibility, history=history, routes=routes)
        self.do(
            lambda: self.kit.attach_channel(
                room_id,
                channel,
                category,
                access,
                visibility,
                route=Route(address=person, participant_id=person) if person else None,
                takeover=takeover,
                history=history,
            ),
            lambda: self.model.attach(room_id, channel, binding, takeover),
        )

    @rule(room_id=room_ids, channel=channels)
    def a_channel_is_detached(self, room_id: str, channel: str) -> None:
        detached, expected = self.do(
            lambda: self.kit.detach_channel(room_id, channel), lambda: self.model.detach(room_id, channel)
        )
        assert detached is expected

    @rule(room_id=room_ids, channel=channels, muted=st.booleans())
    def a_channel_is_muted(self, room_id: str, channel: str, muted: bool) -> None:
        kind = "channel_muted" if muted else "channel_unmuted"
        self.do(
            lambda: (self.kit.mute if muted else self.kit.unmute)(room_id, channel),
            lambda: self.model.change(room_id, channel, kind, muted=muted),
        )

    @rule(room_id=room_ids, channel=channels, access=accesses)
    def a_channel_gets_other_rights(self, room_id: str, channel: str, access: Access) -> None:
        self.do(
            lambda: self.kit.set_access(room_id, channel, access),
            lambda: self.model.change(room_id, channel, "channel_updated", access=access.value),
        )

    @rule(room_id=room_ids, channel=channels, visibility=visibilities)
    def a_channel_is_seen_by_others(self, room_id: str, channel: str, visibility: str) -> None:
        self.do(
            lambda: self.kit.set_visibility(room_id, channel, visibility),
            lambda: self.model.change(room_id, channel, "channel_updated", visibility=visibility),
        )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_t3_t4_t6_t29_rooms_do_what_the_documentation_says_whatever_the_order(backend: str) -> None:
    with start_blocking_portal(backend) as portal:
        run_state_machine_as_test(
            type("Machine", (RoomsMachine,), {"portal": portal}),
            settings=settings(
                max_examples=60,
                stateful_step_count=40,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
