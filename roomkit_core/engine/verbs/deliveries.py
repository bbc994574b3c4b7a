"""``kit.deliveries``: owed work as an operator sees it, with the running kit around it."""

from __future__ import annotations

from collections.abc import Collection

from roomkit_core.engine.flow.gates import Gates
from roomkit_core.engine.flow.notices import obstacle_of
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.pure.facts import Obstacle
from roomkit_core.engine.pure.views import view_of
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.steps.passage import begin, enter
from roomkit_core.engine.verbs.desk import Desk
from roomkit_core.models.story import Cancellation, Pause, Story, WorkView
from roomkit_core.models.work import WorkKind, WorkRow, WorkState


class Deliveries:
    """What is owed, what became of it, and what can be done about it; all kinds of work, not deliveries alone.

    Every verb may be called at any time and by any number of tasks; from inside hooks too. All of them go by the store,
    so that they are about the work of every kit on it. Each raises ``StoreError`` where the store does.

    Args:
        ports: The surroundings.
        runners: Take what is due after a retry, a cancellation, a resume.
        gates: Know what keeps channels closed.
    """

    def __init__(self, ports: Ports, runners: Runners, gates: Gates) -> None:
        self._ports = ports
        self._runners = runners
        self._gates = gates
        self._desk = Desk(ports.store, ports.time)

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
        """Rows of owed work that match everything that is given, oldest first.

        Args:
            states: Only rows in one of these states.
            kinds: Only rows of these kinds, e.g. ``{"delivery"}``.
            channel_id: Only rows of this channel.
            room_id: Only rows of this room.
            limit: How many rows at most.
            after: The last id of the page before.

        Raises:
            ValueError: There is no such state or kind.
        """
        await self._enter()
        return await self._desk.list(
            states=states, kinds=kinds, channel_id=channel_id, room_id=room_id, limit=limit, after=after
        )

    async def get(self, row_id: str) -> WorkView:
        """One row.

        Raises:
            WorkNotFoundError: There is none of this id, or it was forgotten.
        """
        await self._enter()
        return await self._desk.get(row_id)

    async def why(self, name: str) -> Story:
        """The story behind an id: what happened, how it stands, why, and what to do.

        Args:
            name: Whatever is at hand: the id of an event or of any row, what ``accept_inbound`` returned, the
                provider's id of a message, an idempotency or client key, a correlation id.

        Raises:
            WorkNotFoundError: Nothing is known by this id.
        """
        await self._enter()
        obstacles = {gate.channel.channel_id: obstacle_of(gate, self._ports) for gate in self._gates.registered()}
        known: dict[str, Obstacle] = {key: value for key, value in obstacles.items() if value is not None}
        return await self._desk.why(name, known, frozenset(self._ports.channels))

    async def retry(self, row_id: str) -> WorkView:
        """Do again what did not end well: a copy at the tail of its lane, which is worked on at once.

        The old row stays as it is. The copy keeps the provider's key, so that a provider that knows keys makes one
        message of both, and the parts that are through, which are not sent again. A delivery that was planned without
        its channel is rendered by whoever works on it, once for each route; then the first of the copies is returned.

        What may be retried: ``failed``, ``dead``, ``expired``, ``partial``, ``quarantined``, and ``suppressed`` as
        long as it is remembered what was to be sent (a day). What it is about must be there: the room, the event, and
        a channel that is attached and may receive.

        Returns:
            The copy. A second retry of one row returns the first copy, whatever became of that: retry the copy to try
            once more.

        Raises:
            WorkNotFoundError: There is no such row.
            ConflictError: ``retry.not_final``, ``retry.ended_well``, ``retry.no_body``.
            RoomNotFoundError, EventNotFoundError, ChannelNotFoundError, RoomClosedError: Its reason is gone.
        """
        await self._enter()
        rows = await self._desk.retry(row_id)
        for row in rows:
            self._look(row)
        return view_of(rows[0])

    async def cancel(self, row_id: str) -> Cancellation:
        """End a row that is not through; also a scheduled message that is not due yet.

        Returns:
            ``cancelled`` for one that waited. ``under_way`` for one that is just being tried: it gets no further
            attempt, but this one may go through. ``too_late`` for one that has its outcome.

        Raises:
            WorkNotFoundError: There is no such row.
            UnsupportedError: It is an accepted message: what was accepted is never dropped by hand.
        """
        await self._enter()
        cancellation, row = await self._desk.cancel(row_id)
        if row.room_id is not None and row.event_id is not None and not row.is_open:
            self._runners.forget(row.room_id, row.channel_id, row.event_id)
        self._look(row)  # its lane goes on
        return cancellation

    async def purge(self, *, older_than: float = 0.0) -> int:
        """Forget dead letters: rows that failed, expired, were given up, put aside or sent in part.

        Args:
            older_than: Only those that got their outcome at least so many seconds ago.

        Returns:
            How many pieces were forgotten.

        Raises:
            ValueError: ``older_than`` is below 0.
        """
        await self._enter()
        return await self._desk.purge(older_than=older_than)

    async def pause(self, channel_id: str, *, reason: str | None = None) -> Pause:
        """Let nothing that is owed to a channel be tried until :meth:`resume`: deliveries, and questions to it.

        It is kept in the store: it outlives restarts, and other kits on the store obey within about a second. What is
        under way goes through; messages from the channel still come in. What is owed may expire meanwhile.

        Args:
            channel_id: The channel; it need not be registered here.
            reason: For whoever asks why.

        Returns:
            The pause; an earlier one, unchanged, if there is one.

        Raises:
            ValueError: No channel can have this id.
        """
        await self._enter()
        pause = await self._desk.pause(channel_id, reason)
        self._gates.set_paused(self._gates.paused | {channel_id})
        return pause

    async def resume(self, channel_id: str) -> bool:
        """End a pause; what waited goes out now, in its order.

        Returns:
            False if the channel was not paused.
        """
        await self._enter()
        was_paused = await self._desk.resume(channel_id)
        self._gates.set_paused(self._gates.paused - {channel_id})
        target = self._ports.channels.get(channel_id)
        if target is not None:
            self._runners.look(target)
        return was_paused

    async def paused(self) -> tuple[Pause, ...]:
        """The channels that are paused, by their ids."""
        await self._enter()
        return await self._desk.paused()

    async def _enter(self) -> None:
        enter(self._ports)
        await begin(self._ports)

    def _look(self, row: WorkRow) -> None:
        pool = self._ports.journal if row.kind is WorkKind.INBOUND else self._ports.pool_of(row)
        if pool is not None:
            self._runners.look(pool)
