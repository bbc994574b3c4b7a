"""The plan: what each target of an event is owed, rendered and pinned. Pure; nothing is sent here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from roomkit_core.engine.pure.permissions import is_asked, reaches
from roomkit_core.errors import RoomKitError
from roomkit_core.models.channel import Route
from roomkit_core.models.enums import ChannelCategory
from roomkit_core.models.ids import new_id
from roomkit_core.models.packing import PackedContent, pack_content
from roomkit_core.models.work import PackedLoss, WorkKind, WorkRow, WorkState

if TYPE_CHECKING:
    from roomkit_core.interfaces.channel import Channel
    from roomkit_core.models.channel import ChannelBinding
    from roomkit_core.models.event import RoomEvent


class Target(Protocol):
    """A registered channel, as far as a plan needs to know it."""

    channel: Channel
    is_live: bool
    is_asked: bool


class Plan(NamedTuple):
    """What an event is owed: hints for live channels, rows for the others, questions for those that answer."""

    live: tuple[Any, ...] = ()
    rows: tuple[WorkRow, ...] = ()
    asks: tuple[ChannelBinding, ...] = ()


NOTHING = Plan()

_new = tuple.__new__  # a NamedTuple's own constructor costs twice as much


def plan(event: RoomEvent, readers: Iterable[ChannelBinding], targets: Mapping[str, Any]) -> Plan:
    """What the event is owed, binding by binding in the order of their attachment.

    Args:
        event: The event.
        readers: The bindings to which events go out at all.
        targets: The registered channels.
    """
    live: tuple[Any, ...] = ()
    rows: tuple[WorkRow, ...] = ()
    asks: tuple[ChannelBinding, ...] = ()
    visibility = event.visibility
    for binding in readers:
        if visibility != "all" and not reaches(visibility, binding):
            continue
        channel_id = binding.channel_id
        target = targets.get(channel_id)
        if target is None:
            if channel_id != event.source.channel_id:
                rows = (*rows, _unregistered(event, binding))
            continue
        answers = binding.category is ChannelCategory.INTELLIGENCE
        if (answers or target.is_asked) and is_asked(event, binding):
            asks = (*asks, binding)
        if answers:
            continue
        if target.is_live:
            live = (*live, target)
        else:
            rows = (*rows, *_owed(event, binding, target))
    return _new(Plan, (live, rows, asks))


def _owed(event: RoomEvent, binding: ChannelBinding, target: Target) -> list[WorkRow]:
    """One row for each route but the author's; without routes one for the channel, unless it is the source."""
    routes = list(routes_of(event, binding))
    if not routes:
        return []
    made = rendered(event, target.channel)
    return [_row(event, binding, route, made) for route in routes]


class Rendered(NamedTuple):
    """What a channel made of an event, packed; or why it cannot be sent on it."""

    payload: tuple[PackedContent, ...] = ()
    loss: tuple[PackedLoss, ...] = ()
    failure: RoomKitError | None = None


def rendered(event: RoomEvent, channel: Channel) -> Rendered:
    """What the channel makes of an event; a raise becomes a failure."""
    try:
        rendering = channel.render(event.content)
        payload = tuple(pack_content(part) for part in rendering.parts)
        loss: tuple[PackedLoss, ...] = ()
        if rendering.loss:
            loss = tuple((piece.path, piece.kind, piece.outcome, piece.note) for piece in rendering.loss)
    except RoomKitError as error:
        return Rendered(failure=error)
    except Exception as error:
        what = f"render of channel {channel.channel_id!r} raised {type(error).__name__}: {error}"
        return Rendered(failure=RoomKitError(what, code="content.render_failed"))
    if not payload:
        what = f"channel {channel.channel_id!r} made nothing to send of it"
        return Rendered((), loss, RoomKitError(what, code="content.empty"))
    return _new(Rendered, (payload, loss, None))


def routes_of(event: RoomEvent, binding: ChannelBinding) -> Iterable[Route | None]:
    """Where the event goes on this channel: everywhere but to its author; None for a channel without routes."""
    is_source = binding.channel_id == event.source.channel_id
    if not binding.routes:
        return () if is_source else (None,)
    author = binding.routes.get(event.source.participant_id or "") if is_source else None
    seen: dict[str, Route] = {}
    for route in binding.routes.values():
        if author is None or route.lane != author.lane:
            seen.setdefault(route.lane, route)
    return seen.values()


def _row(
    event: RoomEvent,
    binding: ChannelBinding,
    route: Route | None,
    made: Rendered,
) -> WorkRow:
    row_id, failure = new_id(), made.failure
    return WorkRow(
        id=row_id,
        kind=WorkKind.DELIVERY,
        channel_id=binding.channel_id,
        lane=(event.room_id, binding.channel_id, "" if route is None else route.lane),
        room_id=event.room_id,
        event_id=event.id,
        payload=made.payload,
        loss=made.loss,
        route=None if route is None else route.model_dump_json(),
        provider_key=row_id,
        correlation_id=event.correlation_id or event.id,
        state=WorkState.PENDING if failure is None else WorkState.FAILED,
        code=None if failure is None else failure.code,
        reason=None if failure is None else str(failure),
    )


def _unregistered(event: RoomEvent, binding: ChannelBinding) -> WorkRow:
    """Nobody here can render for it; said at once instead of skipped in silence (T14)."""
    failure = RoomKitError(
        f"channel {binding.channel_id!r} is not registered with this kit", code="channel.not_registered"
    )
    return _row(event, binding, None, Rendered(failure=failure))


def ask_row(event: RoomEvent, binding: ChannelBinding, budget: int) -> WorkRow:
    """The question about an event to an intelligence channel; its chain may bring ``budget`` more events."""
    row_id = new_id()
    return WorkRow(
        id=row_id,
        kind=WorkKind.ASK,
        channel_id=binding.channel_id,
        lane=(event.room_id, binding.channel_id, "?"),
        room_id=event.room_id,
        event_id=event.id,
        payload=(str(budget),),
        provider_key=row_id,
        correlation_id=event.correlation_id or event.id,
    )


def hook_row(event: RoomEvent, name: str, budget: int) -> WorkRow:
    """What a durable observer is owed: a call with the event, in the order of the room's events."""
    row_id = new_id()
    return WorkRow(
        id=row_id,
        kind=WorkKind.HOOK,
        channel_id="",
        lane=(event.room_id, "hook", name),
        room_id=event.room_id,
        event_id=event.id,
        payload=(name, str(budget)),
        provider_key=row_id,
        correlation_id=event.correlation_id or event.id,
    )


def share_budget(left: int, asks: int) -> tuple[int, int]:
    """How many of ``asks`` questions are made, and what budget each gets, of ``left``, which may be overdrawn."""
    made = max(0, min(asks, left))
    return made, max(0, (left - asks) // asks) if asks else 0
