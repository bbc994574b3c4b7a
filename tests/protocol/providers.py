"""A provider that several kits send to: what reached it, what it made of that, and channels that lead to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import anyio

from roomkit_core import (
    Channel,
    ChannelCapabilities,
    ChannelType,
    Delivery,
    Receipt,
    Rendering,
    TextContent,
    WorkFilter,
    WorkState,
)
from roomkit_core.interfaces.channel import Guarantee
from tests.protocol.fleet import Fleet, MakeChannels, Member
from tests.support.channels import LiveProbe

GUARANTEES: tuple[Guarantee, ...] = ("idempotent", "reconcilable", "at_least_once")


class Request(NamedTuple):
    """One request that reached the provider.

    Attributes:
        key: The idempotency key of the part.
        row_id: The row that it is of.
        text: What it says.
        kit: Who sent it.
        token, attempt: As the row said in the store when the request arrived; 0 if there was no row any more.
        is_marked: Whether the row said then that the person may have it already.
        state: What the row said then.
    """

    key: str
    row_id: str
    text: str
    kit: str
    token: int
    attempt: int
    is_marked: bool
    state: WorkState | None


class Provider:
    """The outside world.

    Attributes:
        guarantee: What it can be trusted with.
        requests: Each request that reached it, in the order of their arrival.
        effects: What the person got, in that order.
        asked: The keys about which it was asked.
    """

    def __init__(self, guarantee: Guarantee = "at_least_once") -> None:
        self.guarantee = guarantee
        self.requests: list[Request] = []
        self.effects: list[str] = []
        self.asked: list[str] = []
        self.known: dict[str, str] = {}

    def take(self, request: Request) -> str:
        """A request arrives; returns the provider's id of the message."""
        self.requests.append(request)
        if self.guarantee == "idempotent" and request.key in self.known:
            return self.known[request.key]
        self.effects.append(request.text)
        name = f"id-{len(self.effects)}"
        self.known.setdefault(request.key, name)
        return name

    @property
    def by_key(self) -> Counter[str]:
        """How many requests there were of each part."""
        return Counter(request.key for request in self.requests)

    def check_marks(self) -> None:
        """Every request that may be a duplicate was marked before it was made (PROTOCOL 5)."""
        seen: set[str] = set()
        for request in self.requests:
            assert request.key not in seen or request.is_marked, f"an unmarked duplicate: {request}"
            seen.add(request.key)

    def firsts(self) -> list[str]:
        """The texts in the order in which each was taken for the first time."""
        return list(dict.fromkeys(self.effects))


Behave = Callable[[Delivery], str]


class Phone(Channel):
    """One kit's channel to the provider. Content with ``|`` in it goes out in parts.

    It passes the kit's place ``calling`` (the tenure was looked at, the request is not out yet), then, when the
    provider has the request, ``taken``.

    Behaviours: ``send``; ``refuse`` (for good), ``later`` (not now), ``lose`` (the provider has it, the reply is lost),
    ``vanish`` (nothing arrives, and nobody knows that), ``late`` (the reply is lost and the request is still on its
    way: :attr:`on_its_way`), ``raise``.
    """

    channel_type = ChannelType("phone")
    failure_threshold = 1_000_000  # the breaker has tests of its own

    def __init__(self, member: Member, provider: Provider, channel_id: str = "phone") -> None:
        super().__init__(channel_id)
        self.guarantee = provider.guarantee
        self.provider = provider
        self.behave: str | Behave = "send"
        self.on_its_way: list[Request] = []
        self.running = 0
        self.most_running = 0
        self.calls = 0
        self._member = member

    def capabilities(self) -> ChannelCapabilities:
        return ChannelCapabilities(supports_delete=True)

    def render(self, content: Any) -> Rendering:
        text = getattr(content, "body", "") or "(deleted)"
        return Rendering(tuple(TextContent(body=part) for part in text.split("|")))

    async def send(self, delivery: Delivery) -> Receipt:
        self.calls += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self._member.places("calling", delivery)
            behaviour = self.behave if isinstance(self.behave, str) else self.behave(delivery)
            return await self._send(delivery, behaviour)
        finally:
            self.running -= 1

    async def _send(self, delivery: Delivery, behaviour: str) -> Receipt:
        if behaviour == "refuse":
            return Receipt.failed("provider.refused", "no such number")
        if behaviour == "later":
            return Receipt.failed("provider.busy", "not now", retryable=True)
        if behaviour == "raise":
            raise RuntimeError("the channel broke")
        if behaviour == "hang":
            await anyio.sleep_forever()
        if behaviour == "vanish":
            raise ConnectionResetError("the connection broke")
        if behaviour.startswith("late"):
            self.on_its_way.append(await self._request(delivery))
            if behaviour == "late and hang":
                await anyio.sleep_forever()
            raise ConnectionResetError("the connection broke")
        name = self.provider.take(await self._request(delivery))
        await self._member.places("taken", delivery)
        if behaviour == "lose":
            raise ConnectionResetError("the reply was lost")
        return Receipt.sent(name)

    async def _request(self, delivery: Delivery) -> Request:
        found = await self._member.fleet.store.list_work(WorkFilter(row_id=delivery.id), limit=1)
        token, attempts, mark, state = 0, 0, True, None
        if found:
            token, attempts, mark, state = found[0].token, found[0].attempts, found[0].maybe_sent, found[0].state
        return Request(
            delivery.part_key, delivery.id, delivery.part.body, self._member.name, token, attempts, mark, state
        )

    async def reconcile(self, delivery: Delivery) -> Receipt | None:
        self.provider.asked.append(delivery.part_key)
        await self._member.places("asking", delivery)
        name = self.provider.known.get(delivery.part_key)
        return None if name is None else Receipt.sent(name)


async def request_of(everybody: Fleet, text: str) -> str:
    """The id of the row whose first part says this."""
    for row in await everybody.rows():
        if row.payload and text in str(row.payload[0]):
            return row.id
    raise AssertionError(f"no row says {text!r}")


def phones(provider: Provider) -> MakeChannels:
    """Makes for each kit a live channel and a phone of this provider."""
    return lambda member: (LiveProbe(), Phone(member, provider))


def phone_of(member: Member, channel_id: str = "phone") -> Phone:
    """A kit's channel to a provider."""
    phone = member.channels[channel_id]
    assert isinstance(phone, Phone)
    return phone
