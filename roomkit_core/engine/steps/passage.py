"""One call that brings an event to a room: what it knows so far, and how long it may take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from roomkit_core.background import Expired
from roomkit_core.engine.flow.following import Following
from roomkit_core.engine.flow.holdings import Hold
from roomkit_core.engine.flow.live import drain_inline
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.steps.aftermath import Aftermath
from roomkit_core.errors import KitStateError
from roomkit_core.hooks.node import innermost, is_inside, running
from roomkit_core.interfaces.kit import Wait

T = TypeVar("T")

TURN = 0.002
"""Seconds after which a call lets other tasks run: on a store in memory nothing else may ever suspend it."""

WAITS = ("settled", "attempted", "committed")


def no_such_wait(wait: str) -> ValueError:
    """For a word that says nothing about waiting."""
    return ValueError(f"wait must be one of {', '.join(WAITS)}, not {wait!r}")


def enter(ports: Ports) -> None:
    """Refuse a verb on a wrong event loop, or from outside once the kit is closing; what is under way may go on."""
    ports.background.check()
    if ports.background.draining and not is_inside(ports.kit):
        raise KitStateError("this kit is closing", code="kit.closed", hint="Make a new RoomKit.")


async def begin(ports: Ports) -> None:
    """Wait for the start of the kit; what a channel or a plugin does in its own start does not wait for itself."""
    if not ports.background.is_started and not is_inside(ports.kit):
        await ports.background.started()


async def begin_reading(ports: Ports) -> None:
    """What a verb does first that only reads: it starts the kit, and goes on while what is under way ends.

    Raises:
        KitStateError: The kit is closed, or belongs to another event loop.
    """
    ports.background.check()
    await begin(ports)


class Passage(ABC, Generic[T]):
    """What every passage has.

    Args:
        ports: The surroundings.
        runners: Take what is owed.
        wait: Until when the caller wants to wait. Inside a hook, observer, ask or channel call of this kit it is always
            ``committed``: whoever waited there for more would wait for itself.
        claim: The tenure of the row for which a runner makes the call, if one does. It is under way: it goes on while
            the kit closes.

    Attributes:
        is_nested: Whether the call was made below some foreign call, of whatever kit.
    """

    __slots__ = ("aftermath", "bounds", "claim", "is_nested", "ports", "wait")

    def __init__(self, ports: Ports, runners: Runners, wait: Wait, claim: Hold | None = None) -> None:
        if wait not in WAITS:
            raise no_such_wait(wait)
        background = ports.background
        background.check()
        if background.draining and claim is None:
            enter(ports)
        self.claim = claim
        self.ports = ports
        self.is_nested = is_nested = running() is not None
        if is_nested and is_inside(ports.kit):
            self.wait: Wait = "committed"
            self.aftermath = Aftermath(ports, runners, False)
            self.bounds = background.new_bounds(ports.process_timeout)
            self._stand_inside()
        else:
            self.wait = wait
            self.aftermath = Aftermath(ports, runners, wait != "committed")
            self.bounds = background.new_bounds(ports.process_timeout)

    def _stand_inside(self) -> None:
        """Take over from the call that this one runs in: its limit of time, and who waits for what follows."""
        node = innermost(self.ports.kit)
        if node is None or not node.alive:
            return
        if node.bounds is not None:
            self.bounds = self.ports.background.new_bounds(self.ports.process_timeout, node.bounds)
        if node.unit is not None and node.unit.aftermath is not None:
            self.aftermath.answer_to(node.unit.aftermath.follow())
        elif node.follow is not None:
            self.aftermath.answer_to(node.follow())

    async def go(self) -> T:
        """Take the steps within the bounds, then wait for what the caller wants to wait for."""
        if not self.ports.background.is_started:
            await begin(self.ports)
        try:
            await self.bounds.run(self._commit_and_drain())
        except Expired:
            return self.expired()
        except BaseException:
            self.aftermath.abandon()
            raise
        if self.aftermath.following is not None and self.wait != "committed":
            await self._follow(self.aftermath.following)
        background, now = self.ports.background, self.ports.clock.monotonic()
        if now - background.last_turn > TURN:
            await background.let_others(now)
        return self.result()

    async def _commit_and_drain(self) -> None:
        """Live targets are drained here because a cancel scope is open here; no time bounds it after the commit."""
        background = self.ports.background
        background.hold()
        try:
            await self.steps()
        finally:
            background.let_go()
        aftermath = self.aftermath
        if aftermath.live and self.wait != "committed":
            await drain_inline(self.ports, aftermath.live, aftermath.follow, self.bounds)
            aftermath.live = ()

    @abstractmethod
    async def steps(self) -> None:
        """The way until the commit."""

    @abstractmethod
    def result(self) -> T:
        """What the caller gets once the event is committed, or refused."""

    @abstractmethod
    def expired(self) -> T:
        """What the caller gets when the time was over before the commit; nothing is stored then."""

    async def _follow(self, following: Following) -> None:
        if self.wait == "attempted":
            await following.attempted()
        else:
            await following.settled(self.ports.process_timeout)
