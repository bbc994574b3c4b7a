"""What the processes of one case do: conversations through four rooms, and what operators do to three more.

Each process does what is left to do: a message whose acceptance was not acknowledged is delivered again with the same
key, as a provider does, and some that were are delivered again too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple

import anyio

from roomkit_core import (
    ChannelCategory,
    HookExecution,
    HookResult,
    HookTrigger,
    InboundMessage,
    RoomClosedError,
    RoomEvent,
    RoomKit,
    RoomKitError,
    RoomNotFoundError,
    TextContent,
    WorkFilter,
    WorkKind,
    WorkState,
)
from roomkit_core.models.changes import ChangeSet
from roomkit_testkit.stores.retries import copy_of
from tests.faults.channels import Bot, Idempotent, Parts, Provider, Reconcilable, Web, World
from tests.support.channels import text_of

ROOMS = {
    "talk": ("web", "idem", "bot"),
    "desk": ("web", "recon", "once"),
    "long": ("web", "parts"),
    "erased": ("web", "once"),
    "left": ("web", "once", "recon"),
    "shut": ("web", "idem", "bot"),
    "razed": ("web", "once", "bot"),
}
"""The rooms with their channels."""

OPERATIONS = {
    "delete_event": "erased",
    "detach": "left",
    "close_room": "shut",
    "delete_room": "razed",
    "retry": "desk",
}
"""What an operator does, and to which room."""


WITHDRAWALS = ("delete_event", "detach", "close_room")

TRIES = 20


class Plan(NamedTuple):
    """What is to happen in a case.

    Attributes:
        seed: The case.
        operations: Of :data:`OPERATIONS`.
        crowd: How many strangers write at the same moment, each for the first time.
    """

    seed: int
    operations: tuple[str, ...]
    crowd: int


class Message(NamedTuple):
    """A message that somebody sends.

    Attributes:
        verb: ``accept``, ``process`` or ``send``; ``both`` is delivered twice at the same moment, in both ways.
        sender: Who; one sender's messages come one after the other.
        text: What, and its idempotency key if it has one.
        room: Where; None for the room of the conversation.
        has_key: Whether it has a key.
    """

    verb: str
    sender: str
    text: str
    room: str | None
    has_key: bool = True


def conversations(plan: Plan) -> list[list[Message]]:
    """What everybody says, in the order in which each says it."""
    dice = Random(plan.seed)
    found = [
        _turns(dice, "accept", "ann", "talk", 3),
        _turns(dice, "mixed", "bob", "desk", 3),
        _turns(dice, "send", "carl", "long", 2),
        [Message("accept", "eve", f"m keyless {turn}", "talk", has_key=False) for turn in range(2)],
    ]
    for operation in plan.operations:
        if operation == "retry":
            found.append([Message("accept", "dora", "m bad news", "desk")])
        else:
            room = OPERATIONS[operation]
            found.append(_turns(dice, "mixed", f"op-{room}", room, 3))
    found += [[Message("accept", f"stranger-{n}", f"m hello from {n}", None)] for n in range(plan.crowd)]
    return found


def _turns(dice: Random, verb: str, sender: str, room: str, number: int) -> list[Message]:
    verbs = ("accept", "process", "accept", "process", "both") if verb == "mixed" else (verb,)
    return [Message(dice.choice(verbs), sender, f"m {room} {turn}", room) for turn in range(number)]


async def make_rooms(kit: RoomKit) -> None:
    """The rooms, with everything attached; what a process has begun that was killed, another one completes."""
    for room_id, channels in ROOMS.items():
        await kit.create_room(room_id, exist_ok=True)
        for channel_id in channels:
            category = ChannelCategory.INTELLIGENCE if channel_id == "bot" else ChannelCategory.TRANSPORT
            await kit.attach_channel(room_id, channel_id, category)


def furnish(kit: RoomKit, world: World) -> None:
    """Channels and hooks of a kit."""
    for channel in (
        Web(world),
        Idempotent("idem", world),
        Reconcilable("recon", world),
        Provider("once", world),
        Parts("parts", world),
        Bot(world),
    ):
        kit.register_channel(channel)

    def at(name: str) -> Callable[..., HookResult]:
        def hook(event: RoomEvent, context: Any) -> HookResult:
            world.reach(name)
            return HookResult.allow()

        return hook

    for priority, name in enumerate(("hooks: before", "hooks: inside", "hooks: after")):
        kit.hook(HookTrigger.BEFORE_BROADCAST, priority=priority, name=name)(at(name))

    @kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, name="audit", durable=True)
    async def audit(event: RoomEvent, context: Any) -> None:
        """Says once what it has to say about each message, whatever happens to its process."""
        if not text_of(event).startswith("m "):
            return
        world.reach("durable hook: before")
        world.history.add("audited", event=event.id)
        note = TextContent(body=f"note on {event.id}")
        try:
            await kit.send_event(event.room_id, "web", note, visibility="none", wait="committed")
        except (RoomClosedError, RoomNotFoundError):  # an operator was faster
            pass
        world.reach("durable hook: after")


class Actors:
    """Everybody who does something in one process of a case.

    Args:
        kit: The kit of the process.
        world: Its surroundings.
        plan: The case.
    """

    def __init__(self, kit: RoomKit, world: World, plan: Plan) -> None:
        self._kit = kit
        self._world = world
        self._plan = plan
        self._dice = Random(f"{plan.seed} {len(world.history.read('began'))}")
        self._acked = {line["text"] for line in world.history.read("acked")}
        self._done = {line["operation"] for line in world.history.read("withdrawn")}

    async def run(self) -> None:
        """Do what is left to do, all at the same time."""
        async with anyio.create_task_group() as group:
            for messages in conversations(self._plan):
                group.start_soon(self._say, messages)
            for operation in self._plan.operations:
                if operation not in self._done:
                    group.start_soon(self._operate, operation)
            group.start_soon(self._schedule)

    # ---------------------------------------------------------------------------------------------------- messages

    async def _say(self, messages: list[Message]) -> None:
        for message in messages:
            if message.text not in self._acked or (message.has_key and self._dice.random() < 0.2):
                await self._deliver(message)

    async def _deliver(self, message: Message) -> None:
        history, reach = self._world.history, self._world.reach
        history.add("offered", text=message.text, sender=message.sender, verb=message.verb)
        facts = await self._until_taken(message)
        reach("accept: before the 200")
        history.add("acked", text=message.text, sender=message.sender, verb=message.verb, **facts)
        reach("accept: after the 200")

    async def _until_taken(self, message: Message) -> dict[str, Any]:
        """What a client does whose call ended for a passing reason: the same again."""
        for _ in range(TRIES):
            try:
                facts: dict[str, Any] = await getattr(self, f"_{message.verb}")(message)
            except RoomKitError as error:
                if not error.retryable:
                    raise
            else:
                return facts
        raise AssertionError(f"{message.text!r} was not taken in {TRIES} tries")

    def _inbound(self, message: Message) -> InboundMessage:
        content = TextContent(body=message.text)
        key = message.text if message.has_key else None
        return InboundMessage(channel_id="web", sender_id=message.sender, content=content, idempotency_key=key)

    async def _accept(self, message: Message) -> dict[str, Any]:
        accepted = await self._kit.accept_inbound(self._inbound(message), room_id=message.room)
        return {"row": accepted.id, "duplicate": accepted.duplicate}

    async def _process(self, message: Message) -> dict[str, Any]:
        result = await self._kit.process_inbound(self._inbound(message), room_id=message.room, wait="committed")
        return {"event": None if result.event is None else result.event.id, "reason": result.reason}

    async def _both(self, message: Message) -> dict[str, Any]:
        facts: dict[str, Any] = {}

        async def deliver(verb: Callable[[Message], Awaitable[dict[str, Any]]]) -> None:
            facts.update(await verb(message))

        async with anyio.create_task_group() as group:
            group.start_soon(deliver, self._accept)
            group.start_soon(deliver, self._process)
        return facts

    async def _send(self, message: Message) -> dict[str, Any]:
        assert message.room is not None
        event = await self._kit.send_event(
            message.room, "web", TextContent(body=message.text), wait="committed", idempotency_key=message.text
        )
        return {"event": event.id, "reason": event.blocked_by}

    async def _schedule(self) -> None:
        message = Message("later", "clerk", "m scheduled", "talk")
        if message.text not in self._acked:
            await self._deliver(message)

    async def _later(self, message: Message) -> dict[str, Any]:
        at = self._world.clock.now() + timedelta(seconds=2)
        event = await self._kit.send_event(
            "talk", "web", TextContent(body=message.text), idempotency_key=message.text, at=at
        )
        return {"row": event.id}

    # -------------------------------------------------------------------------------------------------- operations

    async def _operate(self, operation: str) -> None:
        room_id = OPERATIONS[operation]
        await self._wait_for_events(room_id)
        facts = await getattr(self, f"_{operation}")(room_id)
        held = await self._held(room_id)
        self._world.history.add("withdrawn", operation=operation, room=room_id, held=held, **facts)
        if operation in WITHDRAWALS:
            self._world.reach("withdrawal: acknowledged")

    async def _wait_for_events(self, room_id: str) -> None:
        """Until there is something that an operation can meet on its way; soon there is, or was."""
        for _ in range(100):
            if any(line["room"] == room_id for line in self._world.history.read("taken", "asked")):
                return
            await anyio.sleep(0.002)

    async def _held(self, room_id: str) -> dict[str, int]:
        """Rows that were withdrawn in flight, with the tokens of their holders: these may still make their call."""
        where = WorkFilter(room_id=room_id, states=frozenset({WorkState.IN_FLIGHT}))
        return {row.id: row.token for row in await self._kit.store.list_work(where) if row.cancel}

    async def _delete_event(self, room_id: str) -> dict[str, Any]:
        said = [event for event in await self._kit.get_timeline(room_id) if text_of(event).startswith("m ")]
        if not said:
            return {"event": None}
        called = {line["event"] for line in self._world.history.read("taken")}
        event = next((event for event in reversed(said) if event.id in called), said[0])
        await self._kit.delete_event(room_id, event.id)
        return {"event": event.id}

    async def _detach(self, room_id: str) -> dict[str, Any]:
        await self._kit.detach_channel(room_id, "once")
        return {"channel": "once"}

    async def _close_room(self, room_id: str) -> dict[str, Any]:
        await self._kit.close_room(room_id)
        return {}

    async def _delete_room(self, room_id: str) -> dict[str, Any]:
        await self._kit.delete_room(room_id)
        return {}

    async def _retry(self, room_id: str) -> dict[str, Any]:
        """Have everything sent again that was refused, as soon as it was."""
        store = self._kit.store
        where = WorkFilter(room_id=room_id, states=frozenset({WorkState.FAILED}), kinds=frozenset({WorkKind.DELIVERY}))
        for _ in range(200):
            refused = await store.list_work(where)
            if len(refused) == 2:  # a row for each of the two providers of the room
                break
            await anyio.sleep(0.005)
        for row in refused:
            copy = copy_of(row, f"again-{row.id}", state=WorkState.PENDING)
            await store.commit(ChangeSet(row.room_id, f"retry-{row.id}", None, work=(copy,)))
        return {"rows": [row.id for row in refused]}
