"""Providers of which each request is in the history, with what was durable about its row at that moment.

A provider's memory is the history, so that it outlives the processes that talk to it. What it does with a request is
drawn from the seed and the request, so that a case comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import anyio

from roomkit_core import (
    Channel,
    ChannelBinding,
    ChannelOutput,
    ChannelType,
    Cursor,
    Delivery,
    EventSource,
    InboundMessage,
    Receipt,
    Rendering,
    RoomContext,
    RoomEvent,
    SQLiteStore,
    TextContent,
)
from tests.faults.clock import FastClock
from tests.faults.history import History

SLOW = 0.01
SLOW_AT_A_STOP = 0.5
"""Seconds of the machine's clock, like all sleeps of providers; the others here are seconds of the fast one."""

SEND_TIMEOUT = 5.0
QUIET_TIME = 5.0
LATE = 8.0
"""Seconds after which a request lands whose sender was killed, or got no answer: within timeout and quiet time."""

_DURABLE = """SELECT state, token, maybe_sent, attempts + takeovers, cancel, seq, parts_done, lane,
    (SELECT min(seq) FROM work AS other WHERE other.lane = work.lane AND other.settled_at IS NULL)
    FROM work WHERE id = ?"""
_FIELDS = ("state", "token", "maybe_sent", "attempt", "cancel", "seq", "parts_done", "lane", "head")


class World:
    """What the channels of one process share.

    Args:
        seed: The case.
        history: What happened in it.
        store: Asked what is durable about a row.
        reach: The boundaries.
        calm: Every provider takes everything at once: for the last process of a case.
        hangs: Some answers take longer than anybody waits who stops a process.
    """

    def __init__(
        self, seed: int, history: History, store: SQLiteStore, reach: Callable[[str], None], *, calm: bool, hangs: bool
    ) -> None:
        self.seed = seed
        self.history = history
        self.store = store
        self.reach = reach
        self.calm = calm
        self.hangs = hangs
        self.clock = FastClock()

    def durable(self, row_id: str) -> dict[str, Any]:
        """What the file says about a row now; nothing if there is none."""
        found = self.store._look(lambda db: db.execute(_DURABLE, (row_id,)).fetchone())
        return {} if found is None else dict(zip(_FIELDS, found, strict=True))


class Provider(Channel):
    """An ``at_least_once`` provider: whatever reaches it has its effect."""

    channel_type = ChannelType("crashing")
    send_timeout = SEND_TIMEOUT
    failure_threshold = 1_000_000  # the breaker has tests of its own
    behaviours = ("take",) * 6 + ("slow",) * 3 + ("lose", "busy")

    def __init__(self, channel_id: str, world: World) -> None:
        super().__init__(channel_id)
        self.world = world

    async def send(self, delivery: Delivery) -> Receipt:
        world, text = self.world, delivery.part.body
        world.history.add("called", row=delivery.id, attempt=delivery.attempt)
        world.reach("call: inside, before the provider took it")
        behaviour = self._behaviour(text, delivery)
        if behaviour in ("busy", "refuse"):
            self._note("refused", delivery)
            if behaviour == "refuse":
                return Receipt.failed("provider.refused", "it does not like it")
            return Receipt.failed("provider.busy", "come back later", retryable=True, retry_after=0.5)
        provider_id = self._take(delivery, lands=world.clock.monotonic() + LATE)
        world.reach("call: inside, after the provider took it")
        if delivery.attempt > 1:
            world.reach("recovery: right after a resend")
        if behaviour == "slow":
            await anyio.sleep(SLOW_AT_A_STOP if world.hangs and delivery.attempt % 2 else SLOW)
        if behaviour == "lose":
            raise ConnectionResetError("the reply was lost")
        return Receipt.sent(provider_id)

    def _behaviour(self, text: str, delivery: Delivery) -> str:
        if "bad" in text and delivery.id == delivery.key:
            return "refuse"  # until an operator has it sent again
        if self.world.calm:
            return "take"
        if delivery.event.room_id in ("erased", "left") and delivery.attempt == 1:
            return "slow"  # so that operations meet it
        return Random(f"{self.world.seed} {self.channel_id} {text} {delivery.attempt}").choice(self.behaviours)

    def _take(self, delivery: Delivery, lands: float) -> str:
        """The request has its effect; what the provider calls it."""
        earlier = self._requests(delivery)
        provider_id = f"{delivery.part_key}/{len(earlier)}"
        self._note("taken", delivery, provider_id=provider_id, lands=lands, effect=True)
        return provider_id

    def _requests(self, delivery: Delivery) -> list[dict[str, Any]]:
        """Earlier requests of the same key."""
        lines = self.world.history.read("taken")
        return [line for line in lines if (line["channel"], line["key"]) == (self.channel_id, delivery.part_key)]

    def _note(self, kind: str, delivery: Delivery, **facts: Any) -> None:
        self.world.history.add(
            kind,
            channel=self.channel_id,
            room=delivery.event.room_id,
            event=delivery.event.id,
            index=delivery.event.index,
            row=delivery.id,
            key=delivery.part_key,
            part=delivery.parts_done,
            text=delivery.part.body,
            attempt=delivery.attempt,
            maybe_sent=delivery.maybe_sent,
            durable=self.world.durable(delivery.id),
            **facts,
        )


class Idempotent(Provider):
    """A provider that remembers keys: a request with a known one has no effect and gets the first answer."""

    guarantee = "idempotent"

    def _take(self, delivery: Delivery, lands: float) -> str:
        earlier = self._requests(delivery)
        if not earlier:
            return super()._take(delivery, lands)
        first: str = earlier[0]["provider_id"]
        self._note("taken", delivery, provider_id=first, lands=lands, effect=False)
        return first


class Reconcilable(Provider):
    """A provider that can be asked, and only knows of what has landed: a lost request lands within the quiet time."""

    guarantee = "reconcilable"
    quiet_time = QUIET_TIME

    async def reconcile(self, delivery: Delivery) -> Receipt | None:
        world = self.world
        world.reach("recovery: before the provider is asked")
        world.history.add("called", row=delivery.id, attempt=delivery.attempt)
        now = world.clock.monotonic()
        landed = [line["provider_id"] for line in self._requests(delivery) if line["lands"] <= now]
        self._note("reconciled", delivery, found=bool(landed))
        world.reach("recovery: after the provider was asked")
        return Receipt.sent(landed[0]) if landed else None


class Parts(Provider):
    """A provider that takes a text in three calls."""

    def render(self, content: Any) -> Rendering:
        return Rendering(tuple(TextContent(body=f"{content.body}/{number}") for number in range(3)))


class Bot(Channel):
    """A model that says something else in each run: two sentences of one run are an answer."""

    channel_type = ChannelType.AI

    def __init__(self, world: World) -> None:
        super().__init__("bot")
        self.world = world

    async def on_event(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> ChannelOutput:
        world = self.world
        world.reach("model: before")
        run = len(world.history.read("asked"))
        world.history.add("asked", room=event.room_id, event=event.id, run=run)
        world.reach("model: inside")
        await anyio.sleep(0.003)
        world.reach("model: after")
        source = EventSource(channel_id="bot", channel_type=self.channel_type)
        answers = [
            RoomEvent(
                room_id=event.room_id,
                source=source,
                content=TextContent(body=f"re {event.id} {run} {sentence}"),
                metadata={"question": event.id, "run": run, "sentence": sentence},
            )
            for sentence in (1, 2)
        ]
        return ChannelOutput(responded=True, response_events=answers)


class Web(Channel):
    """A live channel, on which messages arrive; its client sees what is hinted."""

    channel_type = ChannelType.WEBSOCKET
    live = True

    def __init__(self, world: World) -> None:
        super().__init__("web")
        self.world = world

    def conversation_key(self, message: InboundMessage) -> str | None:
        return message.sender_id

    def on_hint(self, room_id: str, event: RoomEvent, cursor: Cursor) -> int:
        self.world.history.add("hinted", room=room_id, event=event.id, index=cursor.index)
        return 1
