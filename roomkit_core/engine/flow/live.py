"""Live targets: drained inline by a caller that waits, by a task of the kit otherwise.

As long as no client's socket makes a drain suspend, a caller that waits drains all channels itself, without a task or a
switch (20 to 40 us saved). When the drain of one channel suspends, the channels behind it pass to a task: a started
coroutine is never moved to another task, because its cancel scopes would not close there.

A caller drains in the cancel scope of its message, which is open already. A channel with a method ``drain_within``
is lent the message's bounds for the time of its drain, and limits its sends with them instead of opening scopes of its
own; on trio these cost 5 us each. It returns the coroutine of what it has to wait for, and None where that is nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Generator, Sequence
from types import coroutine
from typing import Any

from roomkit_core.background import Bounds, go_on
from roomkit_core.engine.flow.following import Following
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.targets import Target
from roomkit_core.hooks.node import Node, enter_node, leave_node

log = logging.getLogger("roomkit.live")

_RAISED = "drain of channel %r raised"

Follow = Callable[[], Following | None]


@coroutine
def drain_inline(
    ports: Ports, targets: Sequence[Target], follow: Follow, bounds: Bounds | None = None
) -> Generator[Any, Any, None]:
    """Send what the hints queued, in the task of the caller.

    Args:
        ports: The surroundings.
        targets: Whose hints.
        follow: Says who waits for what is passed on.
        bounds: Those in which this runs, if they can be lent.
    """
    node = Node(ports.kit, "channel")
    token = enter_node(node)
    try:
        for target in targets:
            try:
                steps = target.drain(bounds)
                if steps is None:
                    continue
                yielded = steps.send(None)
            except StopIteration:
                continue
            except Exception:
                log.exception(_RAISED, target.channel_id)
                continue
            rest = targets[targets.index(target) + 1 :]
            if rest:
                spawn_drain(ports, rest, follow())
            yield from _go_on(target, steps, yielded)
            return
    finally:
        node.die()
        leave_node(token)


def _go_on(target: Target, steps: Coroutine[Any, Any, None], yielded: Any) -> Generator[Any, Any, None]:
    """The rest of a drain that has suspended."""
    try:
        yield from go_on(steps, yielded)
    except Exception:
        log.exception(_RAISED, target.channel_id)


async def drain_in_task(ports: Ports, targets: Sequence[Target], following: Following | None) -> None:
    """Send what the hints queued, in a task of the kit."""
    try:
        await drain_inline(ports, targets, lambda: following)
    finally:
        if following is not None:
            following.attempt_done()


async def drain_answer(ports: Ports, targets: Sequence[Target], following: Following) -> None:
    """The same for what follows from a call: not its first tries, but waited for until all has settled."""
    try:
        await drain_inline(ports, targets, lambda: following)
    finally:
        following.done()


def spawn_drain(
    ports: Ports, targets: Sequence[Target], following: Following | None, *, is_answer: bool = False
) -> None:
    """Let a task of the kit send what the hints queued."""
    if following is None:
        ports.background.spawn(drain_in_task, ports, targets, None)
    elif is_answer:
        following.add()
        ports.background.spawn(drain_answer, ports, targets, following)
    else:
        following.add_attempt()
        ports.background.spawn(drain_in_task, ports, targets, following)
