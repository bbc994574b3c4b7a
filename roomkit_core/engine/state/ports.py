"""What the engine sees of its surroundings. Made once by the kit; the engine never sees the kit itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from roomkit_core.background import Background
from roomkit_core.engine.state.cache import RoomCache
from roomkit_core.engine.state.lock_graph import LockGraph
from roomkit_core.engine.state.targets import Targets
from roomkit_core.hooks.handlers import Handlers
from roomkit_core.hooks.observers import Observers
from roomkit_core.hooks.registration import HookRegistry
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.locks import RoomLockManager
from roomkit_core.interfaces.router import InboundRoomRouter
from roomkit_core.interfaces.store import ConversationStore


@dataclass(frozen=True, slots=True)
class Ports:
    """The surroundings of one kit's engine.

    Attributes:
        kit: Stands for the kit in nodes and marks; compared by identity only.
        owner: Names this kit in the rows that it claims.
        max_chain_depth: How deep answers may answer answers.
        max_events: How many events one unit holds.
        process_timeout: Seconds from the context to the commit.
        lease: Seconds for which a claim holds.
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
    lease: float = 60.0
    channels: Targets = field(default_factory=Targets)
