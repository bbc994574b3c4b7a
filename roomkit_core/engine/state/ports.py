"""What the engine sees of its surroundings. Made once by the kit; the engine never sees the kit itself."""

from __future__ import annotations

from dataclasses import dataclass

from roomkit_core.background import Background
from roomkit_core.engine.state.cache import RoomCache
from roomkit_core.engine.state.intake import Intake
from roomkit_core.engine.state.lock_graph import LockGraph
from roomkit_core.engine.state.pools import Pool
from roomkit_core.engine.state.targets import KINDS as TARGET_KINDS
from roomkit_core.engine.state.targets import Targets
from roomkit_core.hooks.handlers import Handlers
from roomkit_core.hooks.observers import Observers
from roomkit_core.hooks.registration import HookRegistry
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.locks import RoomLockManager
from roomkit_core.interfaces.router import InboundRoomRouter
from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.work import WorkRow


@dataclass(frozen=True, slots=True)
class Ports:
    """The surroundings of one kit's engine.

    Attributes:
        kit: Stands for the kit in nodes and marks; compared by identity only.
        owner: Names this kit in the rows that it claims.
        max_chain_depth: How deep answers may answer answers.
        max_events: How many events one unit holds.
        process_timeout: Seconds from the context to the commit.
        began: Wall time minus monotonic time when the kit was made, in microseconds.
        lease: Seconds for which a claim holds at least.
        house: The pool of durable hooks, timers and scheduled sends.
        journal: The pool of journaled messages.
        intake: The limits on messages that come in; None without any.
        seated: Ids of the channels that a room made by a message has from the beginning.
    """

    kit: object
    owner: str
    store: ConversationStore
    cache: RoomCache
    locks: RoomLockManager
    graph: LockGraph
    hooks: HookRegistry
    handlers: Handlers
    observers: Observers
    background: Background
    clock: Clock
    router: InboundRoomRouter
    max_chain_depth: int
    process_timeout: float
    max_events: int
    began: int
    channels: Targets
    house: Pool
    journal: Pool
    intake: Intake | None = None
    lease: float = 60.0
    seated: tuple[str, ...] = ()

    def pool_of(self, row: WorkRow) -> Pool | None:
        """The pool in which a row is worked on; None for a channel that is not registered, and for the journal."""
        if row.kind in TARGET_KINDS:
            return self.channels.get(row.channel_id)
        return self.house if row.kind in self.house.kinds else None

    def time(self) -> int:
        """The time for rows, in microseconds: the wall time of the kit's start plus what has passed since.

        Steps of the wall clock neither expire what is owed nor keep it for ever.
        """
        return self.began + round(self.clock.monotonic() * 1_000_000)
