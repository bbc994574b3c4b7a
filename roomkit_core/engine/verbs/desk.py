"""The operator's desk: what can be known and done about owed work with nothing but a store.

``kit.deliveries`` puts a running kit around it; the commands use it beside one, with short transactions and without
ever claiming anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from roomkit_core.engine.pure.facts import Obstacle
from roomkit_core.engine.pure.permissions import receives, takes_writes
from roomkit_core.engine.pure.retry import check_retryable, copies
from roomkit_core.engine.pure.story import tell
from roomkit_core.engine.pure.views import view_of
from roomkit_core.engine.state.inquiry import Inquiry
from roomkit_core.engine.state.signs import read_pauses, write_pause
from roomkit_core.errors import (
    ChannelNotFoundError,
    EventNotFoundError,
    RoomClosedError,
    RoomKitError,
    RoomNotFoundError,
    StoreError,
    UnsupportedError,
    WorkNotFoundError,
)
from roomkit_core.interfaces.store import Answer, ConversationStore, Cutoffs, RoomSnapshot, WorkFilter
from roomkit_core.models.changes import ChangeSet, Refused, Withdrawal
from roomkit_core.models.channel import ChannelBinding
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.ids import check_id, new_commit_id
from roomkit_core.models.story import Cancellation, Cancelling, Pause, Story, WorkView
from roomkit_core.models.time import from_microseconds
from roomkit_core.models.work import GOOD_ENDS, OPEN_STATES, WorkKind, WorkRow, WorkState

DEAD = frozenset(set(WorkState) - OPEN_STATES - GOOD_ENDS - {WorkState.SUPPRESSED})
"""How the rows ended that are called dead letters: badly, and not because their reason was gone."""

PURGE_AT_ONCE = 1_000


class Desk:
    """What an operator does about owed work. Any number of them may work on one store at once.

    Args:
        store: An open store.
        now: Tells the present moment in microseconds.
    """

    def __init__(self, store: ConversationStore, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now

    # --------------------------------------------------------------------------------------------------- looking

    async def list(
        self,
        *,
        states: Collection[WorkState | str] | None = None,
        kinds: Collection[WorkKind | str] | None = None,
        channel_id: str | None = None,
        room_id: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> list[WorkView]:
        """Rows that match, oldest first; ``after`` is the last id of the page before."""
        where = WorkFilter(
            states=None if states is None else frozenset(map(WorkState, states)),
            kinds=None if kinds is None else frozenset(map(WorkKind, kinds)),
            channel_id=channel_id,
            room_id=room_id,
        )
        return [view_of(row) for row in await self._store.list_work(where, limit=limit, after=after)]

    async def get(self, row_id: str) -> WorkView:
        """The row."""
        return view_of(await self.row(row_id))

    async def row(self, row_id: str) -> WorkRow:
        """The row itself.

        Raises:
            WorkNotFoundError: There is none of this id.
        """
        found = await self._store.list_work(WorkFilter(row_id=row_id), limit=1)
        if not found:
            raise WorkNotFoundError(f"there is no row {row_id!r}")
        return found[0]

    async def why(
        self, name: str, obstacles: Mapping[str, Obstacle] | None = None, registered: frozenset[str] | None = None
    ) -> Story:
        """The story behind an id; with what a kit knows about its own channels, if it is a kit that asks."""
        return tell(await Inquiry(self._store, name, self._now(), obstacles, registered).facts())

    # --------------------------------------------------------------------------------------------------- retrying

    async def retry(self, row_id: str) -> tuple[WorkRow, ...]:
        """Put a copy at the tail of the row's lane; returns it, or the one of an earlier retry.

        Raises:
            WorkNotFoundError: There is no such row.
            ConflictError: ``retry.not_final``, ``retry.ended_well``, ``retry.no_body``.
            RoomNotFoundError, EventNotFoundError, ChannelNotFoundError, RoomClosedError: Its reason is gone.
        """
        row = await self.row(row_id)
        earlier = await self._retries(row_id)
        if earlier:
            return earlier
        check_retryable(row)
        event, binding = await self._reason(row)
        work = copies(row, event, binding, self._now())
        # The commit has an id of its own: of two retries, also of a repeat after a lost answer, one is the first.
        answer = await self._commit(ChangeSet(row.room_id, f"retry {row_id}", None, work=work))
        if isinstance(answer, Refused):
            raise RoomNotFoundError(f"room {row.room_id!r} does not exist any more")
        return await self._retries(row_id)

    async def retry_if_possible(self, row_id: str) -> tuple[WorkRow, ...]:
        """The same for many rows: what was retried before, and what cannot be retried, is left alone."""
        if await self._retries(row_id):
            return ()
        try:
            return await self.retry(row_id)
        except StoreError:
            raise
        except RoomKitError:
            return ()  # `retry` says why

    async def _retries(self, row_id: str) -> tuple[WorkRow, ...]:
        return tuple(await self._store.list_work(WorkFilter(retry_of=row_id)))

    async def _reason(self, row: WorkRow) -> tuple[RoomEvent | None, ChannelBinding | None]:
        """What the row is about, if all of it is still there."""
        if row.room_id is None:
            return None, None
        snapshot = await self._store.load_room(row.room_id)
        if snapshot is None:
            raise RoomNotFoundError(f"room {row.room_id!r} does not exist any more")
        event = None if row.event_id is None else await self._event(row.event_id)
        return event, _binding(row, snapshot) if row.kind in (WorkKind.DELIVERY, WorkKind.ASK) else None

    async def _event(self, event_id: str) -> RoomEvent:
        event = await self._store.get_event(event_id)
        if event is None or event.metadata.get("deleted"):
            raise EventNotFoundError(f"event {event_id!r} was deleted", hint="There is nothing left to send.")
        return event

    async def _commit(self, changes: ChangeSet) -> Answer:
        try:
            return await self._store.commit(changes)
        except StoreError as error:
            if not error.retryable:
                raise
            return await self._store.commit(changes)  # whether it was written is unknown; the same again finds out

    # --------------------------------------------------------------------------------------------------- ending

    async def cancel(self, row_id: str) -> tuple[Cancellation, WorkRow]:
        """End a row that is not through.

        Raises:
            WorkNotFoundError: There is no such row.
            UnsupportedError: It is an accepted message.
        """
        row = await self.row(row_id)
        if row.kind is WorkKind.INBOUND:
            raise UnsupportedError(
                f"row {row_id!r} is an accepted message, which is never dropped by hand",
                code="work.cannot_cancel",
                hint="Close the room or detach the channel, and it is refused when its turn comes.",
            )
        if not row.is_open:
            return Cancellation(result=Cancelling.TOO_LATE, work=view_of(row)), row
        await self._commit(
            ChangeSet(None, new_commit_id(), None, withdrawals=(Withdrawal("cancelled", row_id=row_id),))
        )
        row = await self.row(row_id)
        if row.is_open:
            result = Cancelling.UNDER_WAY
        elif row.state is WorkState.SUPPRESSED:
            result = Cancelling.CANCELLED
        else:
            result = Cancelling.TOO_LATE
        return Cancellation(result=result, work=view_of(row)), row

    async def purge(self, *, older_than: float = 0.0) -> int:
        """Forget the dead letters that got their outcome at least ``older_than`` seconds ago; how many."""
        if older_than < 0:
            raise ValueError(f"older_than must be 0 or more seconds, not {older_than:g}")
        cutoffs = Cutoffs(dead=self._now() + 1 - round(older_than * 1_000_000))
        count = gone = await self._store.purge(cutoffs, limit=PURGE_AT_ONCE)
        while gone >= PURGE_AT_ONCE:
            gone = await self._store.purge(cutoffs, limit=PURGE_AT_ONCE)
            count += gone
        return count

    # --------------------------------------------------------------------------------------------------- pausing

    async def pause(self, channel_id: str, reason: str | None = None) -> Pause:
        """Let nothing that is owed to the channel be tried; an earlier pause stays as it is."""
        check_id(channel_id, "channel id")
        for pause in await self.paused():
            if pause.channel_id == channel_id:
                return pause
        pause = Pause(channel_id=channel_id, since=from_microseconds(self._now()), reason=reason)
        await write_pause(self._store, channel_id, pause)
        return pause

    async def resume(self, channel_id: str) -> bool:
        """End a pause; False if there was none."""
        if all(pause.channel_id != channel_id for pause in await self.paused()):
            return False
        await write_pause(self._store, channel_id, None)
        return True

    async def paused(self) -> tuple[Pause, ...]:
        """All pauses."""
        return tuple(await read_pauses(self._store))


def _binding(row: WorkRow, snapshot: RoomSnapshot) -> ChannelBinding:
    """The channel's place in the room, if the row would still be owed to it."""
    binding = snapshot.bindings.get(row.channel_id)
    if binding is None:
        raise ChannelNotFoundError(f"channel {row.channel_id!r} is not attached to room {row.room_id!r} any more")
    if row.kind is WorkKind.DELIVERY and not receives(binding):
        raise ChannelNotFoundError(
            f"channel {row.channel_id!r} may not receive in room {row.room_id!r}",
            code="channel.access",
            hint="Change that with set_access() first.",
        )
    if row.kind is WorkKind.ASK and not takes_writes(snapshot.room.status):
        raise RoomClosedError(f"room {row.room_id!r} is {snapshot.room.status.value} and takes no answer")
    return binding
