"""A fleet in miniature: kits over one store object, each with its own way to the store, its own channels and its clock.

A kit can be *frozen*, as by SIGSTOP or a long pause of the machine: it stands at the place where the test has stopped
it, and nobody in it who sleeps wakes up, while the time of the store and of the others goes on. A kit that stays
frozen is one that was killed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import anyio
from anyio.abc import TaskGroup

from roomkit_core import (
    Channel,
    InboundResult,
    InMemoryStore,
    RoomKit,
    WorkFilter,
    WorkKind,
    WorkRow,
    WorkState,
)
from roomkit_core.engine.state.targets import Target
from roomkit_core.interfaces.clock import Clock
from roomkit_core.models.message import Accepted
from tests.protocol.places import KitStore, Places
from tests.support.channels import message
from tests.support.clock import VirtualClock, settle
from tests.support.kits import make_room

LEASE = 60.0
"""Seconds for which the claims of a kit hold."""

PATIENCE = 20.0
"""Seconds after which a test that hangs is ended; no test that passes comes near."""

MakeChannels = Callable[["Member"], Iterable[Channel]]


class KitClock(Clock):
    """A kit's view of the time of all; while the kit is frozen, nobody who sleeps on it wakes up.

    Attributes:
        step: Seconds by which this kit's wall clock was set forward or back.
    """

    def __init__(self, world: VirtualClock) -> None:
        self._world = world
        self._thawed: anyio.Event | None = None
        self.step = 0.0

    def now(self) -> datetime:
        return self._world.now() + timedelta(seconds=self.step)

    def monotonic(self) -> float:
        return self._world.monotonic()

    async def sleep_until(self, moment: float) -> None:
        await self._world.sleep_until(moment)
        while self._thawed is not None:
            await self._thawed.wait()

    def freeze(self) -> None:
        self._thawed = self._thawed or anyio.Event()

    def thaw(self) -> None:
        thawed, self._thawed = self._thawed, None
        if thawed is not None:
            thawed.set()


class Member:
    """One kit of the fleet.

    Attributes:
        name: Tells it from the others in logs of providers.
        places: Where it can be stopped; those of its way to the store, and those of its channels.
        channels: Its channels by id.
    """

    def __init__(self, fleet: Fleet, name: str, make: MakeChannels, options: dict[str, Any]) -> None:
        self.fleet = fleet
        self.name = name
        self.places = Places()
        self.clock = KitClock(fleet.clock)
        self.store = KitStore(fleet.store, self.places)
        self.kit = RoomKit(self.store, clock=self.clock, **options)
        self.channels = {channel.channel_id: channel for channel in make(self)}
        for channel in self.channels.values():
            self.kit.register_channel(channel)

    def freeze(self) -> None:
        """From now on no time passes in this kit."""
        self.clock.freeze()

    def thaw(self) -> None:
        """It finds out how late it is."""
        self.clock.thaw()

    async def say(self, text: str = "hi", room_id: str = "room", **fields: Any) -> InboundResult:
        """Bring in a message and wait for its commit."""
        with anyio.fail_after(PATIENCE):
            return await self.kit.process_inbound(message(text, **fields), room_id=room_id, wait="committed")

    async def wait_for_all(self, text: str = "hi", room_id: str = "room", **fields: Any) -> InboundResult:
        """Bring in a message and wait for all that follows from it."""
        with anyio.fail_after(PATIENCE):
            return await self.kit.process_inbound(message(text, **fields), room_id=room_id)

    async def accept(self, text: str = "hi", room_id: str | None = "room", **fields: Any) -> Accepted:
        """Write a message into the journal."""
        with anyio.fail_after(PATIENCE):
            return await self.kit.accept_inbound(message(text, **fields), room_id=room_id)

    def target(self, channel_id: str) -> Target:
        """What the kit knows about one of its channels."""
        return self.kit._engine.ports.channels[channel_id]

    @property
    def holds(self) -> int:
        """How many tenures are alive in it."""
        return len(self.kit._engine.runners.holdings)


class Fleet:
    """The kits, their store and the time.

    Attributes:
        a, b: The first and the second kit.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self.clock = VirtualClock()
        self.store_clock = KitClock(self.clock)
        self.store = InMemoryStore(clock=self.store_clock)
        self.members: list[Member] = []

    @property
    def a(self) -> Member:
        return self.members[0]

    @property
    def b(self) -> Member:
        return self.members[1]

    def start(self, call: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Make a call in a task of its own: one that the test may stop somewhere."""
        self._group.start_soon(call, *args)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody who is not frozen."""
        await self.clock.advance(seconds)

    def step_clocks(self, seconds: float) -> None:
        """Set everybody's wall clock forward or back; no time passes."""
        for clock in (self.store_clock, *(member.clock for member in self.members)):
            clock.step += seconds

    async def rest(self) -> None:
        """Let everybody do what can be done now."""
        await settle()

    async def rows(self, kind: WorkKind | None = None, **fields: Any) -> list[WorkRow]:
        """Work rows in the order of their birth."""
        kinds = None if kind is None else frozenset({kind})
        found = await self.store.list_work(WorkFilter(kinds=kinds, **fields), limit=1_000_000)
        return sorted(found, key=lambda row: row.seq)

    async def states(self, kind: WorkKind | None = WorkKind.DELIVERY, **fields: Any) -> list[WorkState]:
        """Their states."""
        return [row.state for row in await self.rows(kind, **fields)]

    async def texts(self, room_id: str = "room") -> list[str]:
        """What was said in a room, in the order of the indexes, which have no gap."""
        events = await self.store.list_events(room_id, limit=1_000_000)
        assert [event.index for event in events] == list(range(len(events)))
        return [event.content.body for event in events if event.type == "message"]

    async def until_over(self, most: float = 7200.0, step: float = 30.0) -> None:
        """Let time pass until no row is open."""
        passed = 0.0
        await settle()
        while any(row.is_open for row in await self.rows()):
            assert passed < most, f"still open after {passed} s: {[r for r in await self.rows() if r.is_open]}"
            await self.pass_time(step)
            passed += step


@asynccontextmanager
async def fleet(
    make: MakeChannels, *, kits: Sequence[str] = ("a", "b"), rooms: Sequence[str] = ("room",), **options: Any
) -> AsyncIterator[Fleet]:
    """Kits over one store, and rooms with all of their channels attached.

    Args:
        make: Makes the channels of one kit.
        kits: Their names.
        rooms: The rooms.
        options: As for :class:`RoomKit`.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as group, AsyncExitStack() as stack:
        all_of_them = Fleet(group)
        for name in kits:
            member = Member(all_of_them, name, make, options)
            all_of_them.members.append(member)
            await stack.enter_async_context(member.kit)
        for room_id in rooms:
            await make_room(all_of_them.a.kit, room_id, *all_of_them.a.channels)
        await settle()
        try:
            with anyio.fail_after(PATIENCE):
                yield all_of_them
        except Exception as error:
            failure = error
        finally:
            await _end(all_of_them)
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure  # as it is, and not as a member of a group


async def _end(all_of_them: Fleet) -> None:
    """Close everything, also what the test has left frozen or stopped."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(PATIENCE):
        for member in all_of_them.members:
            member.places.clear()
            member.thaw()
        all_of_them.clock.jump(10.0)  # whoever waits for a store that fails tries again
        for member in all_of_them.members:
            await member.kit.close(timeout=1.0)


async def lose_holders(all_of_them: Fleet, row: WorkRow, times: int) -> None:
    """Let so many workers claim the row and never come back."""
    for number in range(times):
        assert await all_of_them.store.claim(f"dead-{number}", lease=1.0, limit=1, lanes=[row.lane])
        all_of_them.clock.jump(1.1)  # nobody who is awake runs before the next one has it
