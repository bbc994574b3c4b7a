"""``RoomKit``: where everything is put together, and the public verbs. No algorithm lives here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime
from os import PathLike
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from roomkit_core.engine.steps.inbound import Inbound
from roomkit_core.engine.steps.send import outgoing
from roomkit_core.engine.verbs import assembly
from roomkit_core.engine.verbs.deliveries import Deliveries
from roomkit_core.engine.verbs.plugins import Plugins
from roomkit_core.engine.verbs.rooms import Rooms
from roomkit_core.engine.verbs.sending import send
from roomkit_core.engine.verbs.state import KeyValue
from roomkit_core.hooks.collected import fitting
from roomkit_core.hooks.registration import HookRegistration, HookRegistry, OnError
from roomkit_core.hooks.status import status_hook
from roomkit_core.interfaces.channel import Channel
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.kit import Wait
from roomkit_core.interfaces.locks import RoomLockManager
from roomkit_core.interfaces.router import InboundRoomRouter
from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.models.channel import ChannelBinding, RateLimit, Route
from roomkit_core.models.delivery import DeliveryStatus
from roomkit_core.models.enums import Access, ChannelCategory, ChannelDirection, HookExecution
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.health import Health
from roomkit_core.models.kinds import ChannelType, EventType
from roomkit_core.models.message import Accepted, InboundMessage, InboundResult
from roomkit_core.models.room import Room, RoomTimers
from roomkit_core.models.triggers import HookTrigger

if TYPE_CHECKING:
    from roomkit_core.models.retention import Retention
    from roomkit_core.registry import PluginRegistry

F = TypeVar("F", bound=Callable[..., Any])


class RoomKit:
    """Rooms, channels, hooks and storage, put together.

    A kit runs on one event loop, the one on which it is first used; making one needs no loop. On asyncio its first verb
    starts it; ``async with RoomKit(...) as kit`` starts and closes it in order, and is needed on trio. Any number of
    tasks may call any verb at once. The verbs about one room take turns, those about different rooms do not wait for
    each other.

    **Inside** a hook, observer, handler, ask or channel call of this kit, every verb waits for its commit only,
    whatever ``wait`` says; :meth:`idle` and :meth:`close` raise ``kit.reentrant_wait`` there. What a
    ``BEFORE_BROADCAST`` hook does to its own room is committed with the message, or not at all.

    Args:
        store: Where rooms live; ``InMemoryStore()`` if omitted, which forgets everything with the process.
        identity_resolver: Not available yet.
        identity_channel_types: Not available yet.
        inbound_router: Chooses rooms for messages that name none; by conversation key if omitted.
        lock_manager: One lock per room; ``InMemoryLockManager()`` if omitted.
        realtime: Not available yet.
        max_chain_depth: How many answers deep a chain of events may grow, at least 1. A unit of work holds at most ten
            times as many events, which is also the loop budget of a chain.
        identity_timeout: Not available yet.
        process_timeout: Seconds from reading the room to the commit, hooks included; above 0.
        stt, tts, voice, task_runner, delivery_strategy, delivery_backend, status_bus: Not available yet.
        telemetry, orchestration: Not available yet.
        inbound_rate_limit: How many messages each channel may bring in. A direct call above it is refused with the
            reason ``rate_limited``, stored nowhere; a journaled message waits.
        inbound_sender_rate_limit: The same for each sender of a channel.
        plugins: Plugins to load and whose hooks to run: ids of installed ones, or modules; or a registry of them.
        autoload: Load every installed plugin; their components can be used, their hooks run only if they are named.
        clock: Where the time comes from.
        cache_mb: Megabytes for the rooms used last, above 0.
        retention: How long what is over is kept.
        attach: Ids of channels that each room made by a message has from its first event on, such as that of a bot. One
            that is not registered by then ends ``process_inbound`` with :class:`ChannelNotRegisteredError`.

    Raises:
        UnsupportedError: A parameter that is not available yet was given.
        ValueError: A number is out of its range.
        PluginError: A plugin that is named is not installed.
    """

    def __init__(
        self,
        store: ConversationStore | None = None,
        identity_resolver: Any = None,
        identity_channel_types: set[ChannelType] | None = None,
        inbound_router: InboundRoomRouter | None = None,
        lock_manager: RoomLockManager | None = None,
        realtime: Any = None,
        max_chain_depth: int = 5,
        identity_timeout: float = 10.0,
        process_timeout: float = 30.0,
        stt: Any = None,
        tts: Any = None,
        voice: Any = None,
        task_runner: Any = None,
        delivery_strategy: Any = None,
        delivery_backend: Any = None,
        status_bus: Any = None,
        telemetry: Any = None,
        inbound_rate_limit: RateLimit | None = None,
        orchestration: Any = None,
        *,
        inbound_sender_rate_limit: RateLimit | None = None,
        plugins: Iterable[Any] | PluginRegistry = (),
        autoload: bool = False,
        clock: Clock | None = None,
        cache_mb: float = 128,
        retention: Retention | None = None,
        attach: Iterable[str] = (),
    ) -> None:
        assembly.refuse_unavailable(
            identity_resolver=identity_resolver,
            identity_channel_types=identity_channel_types,
            realtime=realtime,
            stt=stt,
            tts=tts,
            voice=voice,
            task_runner=task_runner,
            delivery_strategy=delivery_strategy,
            delivery_backend=delivery_backend,
            status_bus=status_bus,
            telemetry=telemetry,
            orchestration=orchestration,
        )
        registry = assembly.load_plugins(plugins, autoload)
        given = assembly.Given(
            store,
            inbound_router,
            lock_manager,
            clock,
            max_chain_depth,
            process_timeout,
            cache_mb,
            inbound_rate_limit,
            inbound_sender_rate_limit,
            retention,
            tuple(attach),
        )
        self._engine = assembly.assemble(self, registry, given)
        self._engine.plugins.apply_hooks(self)

    @classmethod
    def from_config(
        cls,
        path: str | PathLike[str] = "roomkit.toml",
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        store: ConversationStore | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """The kit that a configuration file describes, with its channels and the hooks of its ``app``; not started.

        Every installed plugin that the file allows is loaded, and its components can be used.

        Args:
            path: The file; relative paths in it begin in its folder.
            environ: Variables that are referred to, and those that change the file: ``ROOMKIT_STORES__MAIN__PATH``.
                Those of the process if omitted.
            overrides: Tables as in the file, whose values win over file and environment:
                ``{"stores": {"main": {"use": "memory"}}}``.
            store: In the place of the store of the file, which is checked and not made; for tests.
            clock: The kit's clock; the system's if omitted.

        Raises:
            ConfigError: The file cannot be read, or something in it is wrong; ``problems`` has all of it.
            PluginError: A plugin that the file requires is broken.
        """
        return assembly.from_config(cls, path, environ, overrides, store, clock)

    # ------------------------------------------------------------------------------------------------ its life

    async def __aenter__(self) -> Self:
        await self._engine.life.enter()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._engine.life.leave(10.0)

    async def start(self) -> None:
        """Open the store and start plugins and channels; the first verb does it otherwise. Again does nothing.

        Raises:
            KitStateError: On trio outside of ``async with kit`` and :meth:`run`; on another event loop; closed.
            PluginError: A named plugin is broken.
        """
        await self._engine.life.start()

    async def run(self, *, task_status: TaskStatus[None] = TASK_STATUS_IGNORED) -> None:
        """Keep the kit running until cancelled, then close it: ``await task_group.start(kit.run)``."""
        await self._engine.life.run(task_status)

    async def idle(self) -> int:
        """Return when no task of the kit runs and nothing is due now.

        Returns:
            How many rows of owed work are still open: parked after a failure, or of unknown outcome.

        Raises:
            KitStateError: ``kit.reentrant_wait`` inside a hook, observer, handler, ask or channel call.
        """
        return await self._engine.life.idle()

    async def close(self, timeout: float = 10.0) -> None:
        """Stop in order: take no more calls, let what is under way end, close channels, plugins, locks and the store.

        Args:
            timeout: Seconds for what is under way; then it is cancelled, and a call to a provider that was interrupted
                is recorded as ``unknown``.

        Raises:
            KitStateError: ``kit.reentrant_wait`` inside a call of this kit.
            ExceptionGroup: Parts did not close; all of them were tried.
        """
        await self._engine.life.close(timeout)

    # ------------------------------------------------------------------------------------------------ messages

    async def process_inbound(
        self, message: InboundMessage, *, room_id: str | None = None, wait: Wait = "settled"
    ) -> InboundResult:
        """Bring a message in: find its room, ask the hooks, store it, and see to everything that is owed for it.

        Args:
            message: What a channel received.
            room_id: The room, made if it does not exist; otherwise that of the message's conversation, else a new one.
            wait: ``committed`` returns when the message is stored. ``attempted`` waits until every owed delivery had
                its first try or is reported ``queued`` behind another one. ``settled`` waits for all that follows too,
                answers and observers included; nobody waits for a retry.

        Returns:
            The stored event and a result for each target. A repeat gets the first event. ``blocked`` with a reason: a
            hook's, ``room_closed``, ``source_muted``, ``source_read_only``, ``event_chain_depth_limit``,
            ``channel_detached``,
            ``hook_error:<name>``, or ``process_timeout``, after which nothing is stored.

        Raises:
            ChannelNotRegisteredError: The message's channel is unknown.
            ConflictError: Retryable: the room changed underneath five times. Not retryable: ``loop``, ``lock.self``.
            StoreError: The store failed. What the channel raises in ``handle_inbound`` comes out as it is.
            KitStateError: The kit is closed, or belongs to another event loop.

        Cancelling the caller is all or nothing: before the commit nothing is stored, after it everything owed goes on.
        """
        return await Inbound(self._engine.ports, self._engine.runners, message, room_id, wait).go()

    async def accept_inbound(self, message: InboundMessage, *, room_id: str | None = None) -> Accepted:
        """Write a message into the journal and return: for webhooks, which have to answer before the work is done.

        What is accepted is worked on from now, in the order of its conversation, until it is stored, refused or
        quarantined; on a durable store also after a crash.

        Args:
            message: What a channel received. Its ``session`` is not journaled.
            room_id: The room, made if it does not exist; otherwise that of the message's conversation.

        Returns:
            The id of its row, for ``kit.deliveries.why``. A message whose key is known is a ``duplicate``, with the id
            of the first one.

        Raises:
            ChannelNotRegisteredError: The message's channel is unknown; nothing is journaled.
            StoreError: It may be journaled or not; accept it again, its key makes that one message.
            KitStateError: The kit is closed, or belongs to another event loop.
        """
        return await self._engine.journal.accept(message, room_id)

    async def process_delivery_status(self, status: DeliveryStatus) -> bool:
        """Record what a provider reports about a message that it took, and tell ``ON_DELIVERY_STATUS`` hooks.

        The rank of a delivery only grows: ``accepted``, ``delivered``, ``read``, ``undelivered``. A report that comes
        before the delivery knows its provider's id is kept and joins it.

        Returns:
            Whether the rank of a known delivery grew.
        """
        return await self._engine.statuses.process(status)

    async def delete_event(self, room_id: str, event_id: str, *, reason: str | None = None) -> RoomEvent:
        """Take away what an event said: its index stays as a tombstone, what is owed for it ends.

        Deliveries that were not sent are suppressed. Live clients, and channels that can delete, learn of it.

        Args:
            room_id: The room.
            event_id: The event; deleting a tombstone again appends another notice.
            reason: Why, for people.

        Returns:
            The event that was appended to the timeline to say so, of type ``delete``.

        Raises:
            RoomNotFoundError, EventNotFoundError: There is no such room or event.
        """
        return await self._engine.erasure.delete_event(room_id, event_id, reason)

    async def send_event(
        self,
        room_id: str,
        channel_id: str,
        content: Any,
        event_type: EventType = EventType.MESSAGE,
        chain_depth: int = 0,
        participant_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        visibility: str = "all",
        provider: str | None = None,
        response_visibility: str | None = None,
        *,
        wait: Wait = "settled",
        idempotency_key: str | None = None,
        at: datetime | None = None,
    ) -> RoomEvent:
        """Say something in a room through an attached channel; the same way as a message from hooks to delivery.

        Args:
            room_id: The room.
            channel_id: Who says it; must be attached.
            content: What is said, e.g. ``TextContent(body="hi")``.
            event_type: What kind of event it is.
            chain_depth: How deep in a chain of answers; inside hooks, observers and asks it is at least theirs.
            participant_id: Who behind the channel says it.
            metadata: Anything JSON can hold.
            visibility: Who may see it: ``all``, ``none``, ``internal``, ``transport``, ``intelligence``, or channel
                ids.
            provider: Name of a provider, for attribution.
            response_visibility: Who may see the answers to it; None for no restriction.
            wait: As in :meth:`process_inbound`.
            idempotency_key: Makes a repeat through this channel the same event, also one that is still to be said.
            at: When to say it, aware; it is a row until then, due again after a restart, and ``kit.deliveries.cancel``
                takes it back by the event's id. A moment that is past is now.

        Returns:
            The stored event; its status is BLOCKED if it was not passed on, ``blocked_by`` says by what. With ``at``
            the event as it will be said, PENDING.

        Raises:
            RoomNotFoundError, RoomClosedError, ChannelNotFoundError: Where it cannot be said.
            DuplicateError: The key was used, and what it stood for is gone.
            ProcessTimeoutError: It was not committed in time; nothing is stored.
            ConflictError, StoreError, KitStateError: As in :meth:`process_inbound`.
        """
        event = outgoing(
            room_id,
            channel_id,
            content,
            event_type,
            chain_depth,
            participant_id,
            metadata,
            visibility,
            provider,
            response_visibility,
            idempotency_key,
            self._engine.ports.clock.now(),
        )
        return await send(self._engine.ports, self._engine.runners, event, wait, idempotency_key, at)

    async def get_timeline(
        self,
        room_id: str,
        offset: int = 0,
        limit: int = 50,
        visibility_filter: str | None = None,
        *,
        after_index: int | None = None,
        before_index: int | None = None,
        newest_first: bool = False,
    ) -> list[RoomEvent]:
        """A page of a room's timeline, ascending: everything that is stored, blocked and bookkeeping events included.

        Args:
            room_id: The room.
            offset: Without a cursor: how many events to skip.
            limit: How many events at most.
            visibility_filter: Only events with exactly this stored visibility.
            after_index: The first events with a higher index.
            before_index: The last events with a lower index.
            newest_first: Without a cursor: count from the end.

        Raises:
            RoomNotFoundError: There is no such room.
            ValueError: Both cursors are given.
        """
        return await self._engine.rooms.timeline(
            room_id, offset, limit, visibility_filter, after_index, before_index, newest_first
        )

    # ------------------------------------------------------------------------------------------------ rooms

    @property
    def rooms(self) -> Rooms:
        """Newer verbs about rooms; see :meth:`Rooms.read`."""
        return self._engine.rooms

    @property
    def deliveries(self) -> Deliveries:
        """Owed work: list, explain, retry, cancel, purge, pause; see :meth:`Deliveries.why`."""
        return self._engine.deliveries

    async def create_room(
        self,
        room_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        organization_id: str | None = None,
        exist_ok: bool = False,
        timers: RoomTimers | None = None,
    ) -> Room:
        """Make a room.

        Args:
            room_id: Its id: 1 to 128 of letters, digits and ``._:@+-``, not a visibility word; made up if omitted.
            metadata: Anything JSON can hold.
            organization_id: Whose room it is.
            exist_ok: Return an existing room of this id, unchanged.
            timers: When it pauses and closes by itself after a silence.

        Raises:
            RoomExistsError: There is a room of this id.
            ValueError: The id is not usable.
        """
        return await self._engine.rooms.create(room_id, metadata, organization_id, exist_ok, timers)

    async def get_room(self, room_id: str) -> Room:
        """The room.

        Raises:
            RoomNotFoundError: There is no such room.
        """
        return await self._engine.rooms.get(room_id)

    async def close_room(self, room_id: str) -> Room:
        """Close a room: it takes no more messages, what is owed goes out, open questions end, conversations are free.

        Raises:
            RoomNotFoundError: There is no such room.
        """
        return await self._engine.rooms.close(room_id)

    async def set_room_timers(self, room_id: str, timers: RoomTimers) -> Room:
        """Give a room other timers. They count from its last activity and run by themselves, also after a restart.

        Raises:
            RoomNotFoundError: There is no such room.
        """
        return await self._engine.rooms.set_timers(room_id, timers)

    async def check_room_timers(self, room_id: str) -> Room:
        """Let a room take the status that its timers say, now and not within a second of its time.

        Raises:
            RoomNotFoundError: There is no such room.
        """
        return await self._engine.rooms.check_timers(room_id)

    async def check_all_timers(self) -> list[Room]:
        """:meth:`check_room_timers` for every room that has timers; returns those that changed."""
        return await self._engine.rooms.check_all_timers()

    async def delete_room(self, room_id: str) -> bool:
        """Remove a room with its events, bindings, hooks and owed work. Its idempotency keys stay.

        Returns:
            False if there is no such room.

        Raises:
            UnsupportedError: Called inside the room's own unit of work.
        """
        return await self._engine.rooms.delete(room_id)

    # ------------------------------------------------------------------------------------------------ channels

    def register_channel(self, channel: Channel) -> None:
        """Add a channel to the kit; on a running kit it is started in the background.

        Raises:
            ChannelAlreadyRegisteredError: Another channel has its id.
        """
        self._engine.channels.register(channel)

    def unregister_channel(self, channel_id: str) -> Channel | None:
        """Take a channel from the kit without closing it; None if there is none of this id."""
        return self._engine.channels.unregister(channel_id)

    def get_channel(self, channel_id: str) -> Channel | None:
        """The registered channel, or None."""
        return self._engine.channels.by_id.get(channel_id)

    def list_channels(self) -> list[Channel]:
        """All registered channels."""
        return list(self._engine.channels.by_id.values())

    async def attach_channel(
        self,
        room_id: str,
        channel_id: str,
        category: ChannelCategory = ChannelCategory.TRANSPORT,
        access: Access = Access.READ_WRITE,
        visibility: str = "all",
        *,
        route: Route | None = None,
        takeover: bool = False,
        **kwargs: Any,
    ) -> ChannelBinding:
        """Attach a channel to a room; a second time replaces its binding.

        Args:
            room_id: The room.
            channel_id: A registered channel.
            category: ``INTELLIGENCE`` for a channel that is asked and answers, ``TRANSPORT`` for one that delivers.
            access: What it may do.
            visibility: Who sees what it says.
            route: Where somebody is reached on it; claims the conversation for this room.
            takeover: Take the conversation from a room that holds it.
            kwargs: Further fields of :class:`ChannelBinding`.

        Raises:
            RoomNotFoundError, ChannelNotRegisteredError: One of them is unknown.
            ConversationTakenError: Another room holds the conversation.
            pydantic.ValidationError: A field is wrong.
        """
        fields = kwargs if route is None else {**kwargs, "route": route}
        return await self._engine.bindings.attach(room_id, channel_id, category, access, visibility, takeover, fields)

    async def detach_channel(self, room_id: str, channel_id: str) -> bool:
        """Detach a channel: what is owed to it in the room ends, and messages do not attach it again by themselves.

        Returns:
            False if it was not attached.
        """
        return await self._engine.bindings.detach(room_id, channel_id)

    async def mute(self, room_id: str, channel_id: str) -> ChannelBinding:
        """Store what the channel says as BLOCKED from now on; it still hears.

        Raises:
            ChannelNotFoundError: It is not attached.
        """
        return await self._engine.bindings.mute(room_id, channel_id)

    async def unmute(self, room_id: str, channel_id: str) -> ChannelBinding:
        """The end of a mute.

        Raises:
            ChannelNotFoundError: It is not attached.
        """
        return await self._engine.bindings.unmute(room_id, channel_id)

    async def set_visibility(self, room_id: str, channel_id: str, visibility: str) -> ChannelBinding:
        """Say who sees what the channel says from now on.

        Raises:
            ChannelNotFoundError: It is not attached.
        """
        return await self._engine.bindings.set_visibility(room_id, channel_id, visibility)

    async def set_access(self, room_id: str, channel_id: str, access: Access) -> ChannelBinding:
        """Say what the channel may do; what was owed to one that may not read any more ends.

        Raises:
            ChannelNotFoundError: It is not attached.
        """
        return await self._engine.bindings.set_access(room_id, channel_id, access)

    async def update_binding_metadata(self, room_id: str, channel_id: str, metadata: dict[str, Any]) -> ChannelBinding:
        """Merge metadata into a binding.

        Raises:
            ChannelNotFoundError: It is not attached.
        """
        return await self._engine.bindings.update_metadata(room_id, channel_id, metadata)

    async def get_binding(self, room_id: str, channel_id: str) -> ChannelBinding:
        """A channel's binding.

        Raises:
            RoomNotFoundError, ChannelNotFoundError: One of them is not there.
        """
        return await self._engine.bindings.get(room_id, channel_id)

    async def list_bindings(self, room_id: str) -> list[ChannelBinding]:
        """The room's bindings, in the order of attachment.

        Raises:
            RoomNotFoundError: There is no such room.
        """
        return await self._engine.bindings.list(room_id)

    async def connect_websocket(
        self,
        channel_id: str,
        connection_id: str,
        send_fn: Any,
        *,
        stream_send_fn: Any = None,
        room_id: str | None = None,
    ) -> None:
        """Register a client connection with a channel that has connections.

        Args:
            channel_id: The channel.
            connection_id: The client; a second registration replaces the first.
            send_fn: ``async (connection_id, event)``.
            stream_send_fn: The same for pieces of answers that grow.
            room_id: The only room that it hears; None for every room to which the channel is attached.

        Raises:
            ChannelNotRegisteredError: Unknown, or without connections.
        """
        self._engine.channels.connect(channel_id, connection_id, send_fn, stream_send_fn, room_id)

    async def disconnect_websocket(self, channel_id: str, connection_id: str) -> None:
        """Forget a client connection; never raises for an unknown one."""
        self._engine.channels.disconnect(channel_id, connection_id)

    # ------------------------------------------------------------------------------------------------ hooks

    def hook(
        self,
        trigger: HookTrigger | str,
        execution: HookExecution | str = HookExecution.SYNC,
        priority: int = 0,
        name: str = "",
        timeout: float = 30.0,
        channel_types: Collection[ChannelType | str] | None = None,
        channel_ids: Collection[str] | None = None,
        directions: Collection[ChannelDirection | str] | None = None,
        *,
        on_error: OnError = "allow",
        durable: bool = False,
    ) -> Callable[[F], F]:
        """Decorator: call the function at a moment, in every room.

        ``BEFORE_BROADCAST`` hooks with execution ``SYNC`` decide: they return a :class:`HookResult`, one after the
        other by ascending priority, and what they do to their room is committed with the message. All others observe:
        they run beside the way of the message, at most once, and hold up nobody. A function with a parameter ``kit``
        gets the kit there.

        Args:
            trigger: The moment.
            execution: ``SYNC`` decides where the moment can be decided, ``ASYNC`` observes.
            priority: Lower runs first.
            name: Names it in results and logs; the function's name if empty.
            timeout: Seconds for one run; a deciding hook gets no more than its share of ``process_timeout``.
            channel_types: Only for events from channels of these types; None for all.
            channel_ids: Only for events from these channels; None for all.
            directions: Only for events of these directions; None for all.
            on_error: What becomes of the event when a deciding hook raises, hangs or answers nonsense: ``allow`` or
                ``block``.
            durable: For ``AFTER_BROADCAST``: each call is owed with the event, in the order of the room, and made again
                until the hook returns, also after a crash. At least once: the event's id tells a repeat. What the hook
                sends itself is said once. Its name finds it after a restart.

        Raises:
            HookError: The registration makes no sense.
        """

        def register(fn: F) -> F:
            self._engine.ports.hooks.register(
                HookRegistration(
                    trigger,
                    HookExecution(execution),
                    fitting(fn, self),
                    priority,
                    name,
                    timeout,
                    channel_types,
                    channel_ids,
                    directions,
                    on_error,
                    durable,
                )
            )
            return fn

        return register

    def add_room_hook(
        self,
        room_id: str,
        trigger: HookTrigger | str,
        execution: HookExecution,
        fn: Callable[..., Any],
        priority: int = 0,
        name: str = "",
        *,
        timeout: float = 30.0,
        on_error: OnError = "allow",
        durable: bool = False,
    ) -> None:
        """Call a function at a moment in one room; see :meth:`hook`. It goes with the room."""
        given = fitting(fn, self)
        hook = HookRegistration(trigger, execution, given, priority, name, timeout, on_error=on_error, durable=durable)
        self._engine.ports.hooks.add_room_hook(room_id, hook)

    def remove_room_hook(self, room_id: str, name: str) -> bool:
        """Remove the room's first hook of this name; False if there is none."""
        return self._engine.ports.hooks.remove_room_hook(room_id, name)

    def include(
        self, *modules: ModuleType | str | PathLike[str], folder: str | PathLike[str] | None = None
    ) -> tuple[str, ...]:
        """Register the functions of modules that are marked with the free decorators ``hook``, ``on`` and the like.

        Args:
            modules: Modules, names of modules, or paths of files that end with ``.py``; they are imported.
                One that was named before stays as it is, until :meth:`reload_app`.
            folder: Where names are looked for first, and where relative paths begin.

        Returns:
            The names of the functions, in the order of definition.

        Raises:
            HookError: A module cannot be imported, or a function is marked in a way that makes no sense; ``problems``
                has all of it with file and line, and nothing is registered.
        """
        return self._engine.app.include(modules, folder)

    def reload_app(self) -> tuple[str, ...]:
        """Import the included modules anew if one of their files changed, and put their hooks in the place of the old.

        It is done between two steps of messages: a run of hooks that has begun ends with the old ones. What is owed to
        a durable hook is found by its name.

        Returns:
            The names of the modules; empty if nothing changed.

        Raises:
            HookError: As :meth:`include`; the old hooks stay.
        """
        return self._engine.app.reload()

    def on_delivery_status(self, fn: F) -> F:
        """Decorator: call the function with every :class:`DeliveryStatus` that is processed."""
        self._engine.ports.hooks.register(status_hook(fn))
        return fn

    def on(self, event_type: str) -> Callable[[F], F]:
        """Decorator: call the function for every framework event of exactly this type, e.g. ``"delivery_failed"``.

        Handlers get a :class:`FrameworkEvent`; they run beside everything else, at most once.
        """

        def register(fn: F) -> F:
            self._engine.ports.handlers.on(event_type, fn)
            return fn

        return register

    def emit(
        self,
        event_type: str,
        *,
        room_id: str | None = None,
        channel_id: str | None = None,
        event_id: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Tell the handlers of ``on(event_type)``; never waits and never raises."""
        self._engine.ports.handlers.emit(
            event_type, room_id=room_id, channel_id=channel_id, event_id=event_id, data=data
        )

    def spawn(self, job: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run a job in a task of the kit: for channels and plugins that have to do something beside their calls.

        The task starts in an empty context. :meth:`idle` and :meth:`close` wait for it; ``close`` cancels it when its
        time is over. An exception that gets out of the job is logged.

        Raises:
            KitStateError: The kit is closed.
        """
        self._engine.ports.background.spawn(job, *args)

    def state(self, namespace: str) -> KeyValue:
        """Small values of a plugin or of hooks, in the store; inside a hook they join its commit.

        Args:
            namespace: Whose values: 1 to 256 characters, not beginning with ``roomkit.``.
        """
        return KeyValue(self._engine.ports, namespace)

    def health(self) -> Health:
        """How the kit is: alive, ready, and why not. Asks nobody and never waits."""
        return self._engine.life.health()

    # ------------------------------------------------------------------------------------------------ its parts

    @property
    def plugins(self) -> Plugins:
        """What is loaded, what it offers, how it is doing, and how to change that while the kit runs."""
        return self._engine.plugins

    @property
    def store(self) -> ConversationStore:
        """The backing store."""
        return self._engine.ports.store

    @property
    def hook_engine(self) -> HookRegistry:
        """The registered hooks."""
        return self._engine.ports.hooks

    @property
    def lock_manager(self) -> RoomLockManager:
        """The room locks."""
        return self._engine.ports.locks

    @property
    def channels(self) -> dict[str, Channel]:
        """The registered channels by id; read it, and change it with :meth:`register_channel`."""
        return self._engine.channels.by_id
