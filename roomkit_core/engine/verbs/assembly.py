"""Putting an engine together: which part gets which other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from roomkit_core.background import Background
from roomkit_core.builtin.breaker import CircuitBreaker
from roomkit_core.builtin.clock import SystemClock
from roomkit_core.builtin.limiter import TokenBucketRateLimiter
from roomkit_core.builtin.router import DefaultInboundRoomRouter
from roomkit_core.engine.flow.chores import chores
from roomkit_core.engine.flow.gate import Gate
from roomkit_core.engine.flow.gates import Gates
from roomkit_core.engine.flow.holdings import Holdings
from roomkit_core.engine.flow.pump import Pump
from roomkit_core.engine.flow.runners import Runners
from roomkit_core.engine.flow.work import Handler
from roomkit_core.engine.state.cache import RoomCache
from roomkit_core.engine.state.intake import Intake
from roomkit_core.engine.state.lock_graph import LockGraph
from roomkit_core.engine.state.pools import Pool
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.targets import Targets
from roomkit_core.engine.steps.answer import Answer
from roomkit_core.engine.steps.deliver import Deliver
from roomkit_core.engine.steps.journal import Journal
from roomkit_core.engine.steps.run_hook import RunHook
from roomkit_core.engine.steps.scheduled import SendScheduled
from roomkit_core.engine.steps.timers import RunTimers
from roomkit_core.engine.verbs.app import App
from roomkit_core.engine.verbs.bindings import Bindings
from roomkit_core.engine.verbs.channels import Channels
from roomkit_core.engine.verbs.deliveries import Deliveries
from roomkit_core.engine.verbs.erasure import Erasure
from roomkit_core.engine.verbs.life import Life
from roomkit_core.engine.verbs.plugins import Plugins
from roomkit_core.engine.verbs.rooms import Rooms
from roomkit_core.engine.verbs.statuses import Statuses
from roomkit_core.errors import UnsupportedError
from roomkit_core.hooks.handlers import Handlers
from roomkit_core.hooks.observers import Observers
from roomkit_core.hooks.registration import HookRegistry
from roomkit_core.models.ids import new_id
from roomkit_core.models.time import to_microseconds
from roomkit_core.models.work import WorkKind

if TYPE_CHECKING:
    from roomkit_core.interfaces.clock import Clock
    from roomkit_core.interfaces.kit import KitProtocol
    from roomkit_core.interfaces.locks import RoomLockManager
    from roomkit_core.interfaces.router import InboundRoomRouter
    from roomkit_core.interfaces.store import ConversationStore
    from roomkit_core.models.channel import RateLimit
    from roomkit_core.models.retention import Retention
    from roomkit_core.registry import PluginRegistry

K = TypeVar("K")

LEASE = 60.0  # seconds, for claims whose calls are not longer
HOUSE_LIMIT = 32  # durable hooks, timers and scheduled sends at once
JOURNAL_LIMIT = 32  # journaled messages at once, of as many conversations
HOUSE_KINDS = (WorkKind.HOOK, WorkKind.TIMER, WorkKind.SCHEDULED)

LOOP_FACTOR = 10  # events of a unit, and loop budget of a chain, for each level of max_chain_depth


@dataclass(frozen=True, slots=True)
class Given:
    """What a kit was made with, as far as the engine needs it; see :class:`RoomKit`."""

    store: ConversationStore | None
    router: InboundRoomRouter | None
    locks: RoomLockManager | None
    clock: Clock | None
    max_chain_depth: int
    process_timeout: float
    cache_mb: float
    inbound_rate_limit: RateLimit | None
    inbound_sender_rate_limit: RateLimit | None
    retention: Retention | None
    attach: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts that a kit's verbs lead to."""

    ports: Ports
    runners: Runners
    journal: Journal
    rooms: Rooms
    bindings: Bindings
    erasure: Erasure
    statuses: Statuses
    channels: Channels
    life: Life
    deliveries: Deliveries
    plugins: Plugins
    app: App


def refuse_unavailable(**parameters: Any) -> None:
    """Refuse parameters that this version does not have yet, instead of ignoring them."""
    given = [name for name, value in parameters.items() if value is not None]
    if given:
        raise UnsupportedError(
            f"RoomKit does not take {', '.join(given)} yet", hint="See 'What is not there yet' in the README."
        )


def load_plugins(named: Iterable[Any] | PluginRegistry, autoload: bool) -> PluginRegistry:
    """The registry of a kit: the built-ins, the named plugins, and with ``autoload`` all installed ones."""
    if not isinstance(named, Iterable):
        return named  # a registry that somebody has made before the kit
    from roomkit_core.builtin import plugin as builtin_plugin  # with pluggy: 25 ms that importing RoomKit need not cost
    from roomkit_core.registry import PluginRegistry

    registry = PluginRegistry()
    registry.load(builtin_plugin)
    for plugin in named:
        registry.load(plugin)
    if autoload:
        registry.discover()
    return registry


def from_config(
    make: type[K],
    path: str | os.PathLike[str],
    environ: Mapping[str, str] | None,
    overrides: Mapping[str, Any] | None,
    store: ConversationStore | None,
    clock: Clock | None,
) -> K:
    """The kit that a file describes; what reads files is imported only for this."""
    from roomkit_core.engine.verbs.configured import configured

    environ = os.environ if environ is None else environ
    kit: K = configured(make, Path(path), environ, overrides, store=store, clock=clock).kit
    return kit


def assemble(kit: KitProtocol, registry: PluginRegistry, given: Given) -> Engine:
    """An engine with its parts, from what the kit was given and the built-in parts for the rest.

    Raises:
        ValueError: A number is out of its range.
    """
    if given.max_chain_depth < 1:
        raise ValueError(f"max_chain_depth must be at least 1, not {given.max_chain_depth}")
    if given.process_timeout <= 0 or given.cache_mb <= 0:
        raise ValueError("process_timeout and cache_mb must be above 0")
    clock = given.clock or SystemClock()
    store = given.store or registry.resolve("store", "builtin:memory")(clock=clock)
    locks = given.locks or registry.resolve("lock", "builtin:memory")()
    limiter = TokenBucketRateLimiter(clock=clock)
    ports = _ports(given, store, locks, clock, limiter)
    pump = Pump(ports)
    holdings = Holdings(store, clock)
    handlers: dict[WorkKind, Handler] = {}
    runners = pump.runners = Runners(ports, handlers, holdings, pump.wake_at)
    journal = Journal(ports, runners)
    handlers |= {
        WorkKind.INBOUND: journal,
        WorkKind.DELIVERY: Deliver(ports, holdings),
        WorkKind.ASK: Answer(ports, runners),
        WorkKind.HOOK: RunHook(ports),
        WorkKind.SCHEDULED: SendScheduled(ports, runners),
        WorkKind.TIMER: RunTimers(ports, runners),
    }
    pump.pools = lambda: (*ports.channels.values(), ports.house, ports.journal)
    gates = _gates(ports, pump, limiter)
    pump.chores = chores(ports, holdings, gates, given.retention)
    channels = Channels(ports, gates, runners, kit)
    plugins = Plugins(kit, registry, ports.hooks, lambda: ports.background.is_started)
    life = Life(ports, pump, runners, channels, plugins.start, plugins.stop)
    return Engine(
        ports,
        runners,
        journal,
        Rooms(ports, runners),
        Bindings(ports, runners),
        Erasure(ports, runners),
        Statuses(ports),
        channels,
        life,
        Deliveries(ports, runners, gates),
        plugins,
        App(ports, kit),
    )


def _gates(ports: Ports, pump: Pump, limiter: TokenBucketRateLimiter) -> Gates:
    def wake(gate: Gate) -> None:
        opens_at = gate.opens_at()
        if opens_at is not None:
            pump.wake_at(opens_at)

    new_breaker = partial(CircuitBreaker, clock=ports.clock)
    return Gates(limiter, new_breaker, ports.clock, emit=ports.handlers.emit, wake=wake)


def _ports(
    given: Given, store: ConversationStore, locks: RoomLockManager, clock: Clock, limiter: TokenBucketRateLimiter
) -> Ports:
    per_channel, per_sender = given.inbound_rate_limit, given.inbound_sender_rate_limit
    is_limited = per_channel is not None or per_sender is not None
    background = Background()
    identity = object()  # stands for the kit, so that nodes do not keep a dropped kit alive
    observers = Observers(identity, background.spawn)
    channels = Targets()
    return Ports(
        kit=identity,
        owner=f"{os.getpid()}:{new_id()}",
        store=store,
        cache=RoomCache(store, int(given.cache_mb * 1_000_000)),
        locks=locks,
        graph=LockGraph(),
        hooks=HookRegistry(),
        handlers=Handlers(observers),
        observers=observers,
        background=background,
        clock=clock,
        router=given.router or DefaultInboundRoomRouter(store),
        max_chain_depth=given.max_chain_depth,
        process_timeout=given.process_timeout,
        max_events=LOOP_FACTOR * given.max_chain_depth,
        began=to_microseconds(clock.now()) - round(clock.monotonic() * 1_000_000),
        channels=channels,
        house=Pool("house", HOUSE_KINDS, HOUSE_LIMIT, LEASE),
        intake=Intake(limiter, clock, per_channel, per_sender) if is_limited else None,
        journal=Pool("journal", (WorkKind.INBOUND,), JOURNAL_LIMIT, LEASE, channels.keys),
        seated=given.attach,
    )
