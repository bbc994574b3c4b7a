"""What the verbs that change a room share: a tenure that waits for its commit only."""

from __future__ import annotations

from roomkit_core.background import Expired
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.unit_of_work import Unit
from roomkit_core.engine.steps.aftermath import Aftermath
from roomkit_core.engine.steps.passage import begin, enter
from roomkit_core.engine.steps.tenure import Write, tenure
from roomkit_core.errors import ConflictError, ProcessTimeoutError
from roomkit_core.hooks.node import Node, current, innermost


def refuse_endless(ports: Ports) -> Node | None:
    """The call of the kit in which the caller stands, if it stands in one.

    Raises:
        ConflictError: ``loop``: its chain of hooks and handlers has no end.
    """
    node = innermost(ports.kit) if current.get() is not None else None
    if node is not None and node.depth > ports.max_events:
        raise ConflictError(
            "hooks and handlers of this chain bring each other about without end",
            code="loop",
            hint="Let them ignore what they have done themselves.",
            retryable=False,
        )
    return node


async def change_room(ports: Ports, runners: Runners, room_id: str, write: Write) -> Unit:
    """Run a tenure, or join that of the hook that calls; returns when it is committed or joined.

    Raises:
        ProcessTimeoutError: It was not committed in time.
        RoomNotFoundError, ConflictError: As in :func:`tenure`.
    """
    enter(ports)
    await begin(ports)
    node = refuse_endless(ports)
    bounds = ports.background.new_bounds(
        ports.process_timeout, node.bounds if node is not None and node.alive else None
    )
    aftermath = Aftermath(ports, runners, inline=False)
    ports.background.hold()
    try:
        return await bounds.run(tenure(ports, room_id, write, bounds, aftermath))
    except Expired:
        raise ProcessTimeoutError(f"room {room_id!r} could not be changed within {ports.process_timeout:g} s") from None
    finally:
        ports.background.let_go()
