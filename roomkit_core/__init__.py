"""RoomKit Core: conversations that cross channels.

Everything public is importable from here and loaded when it is first used: ``import roomkit_core`` alone costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Name to module, and the same names again for type checkers below; a test holds the two together.
_EXPORTS = {
    "roomkit_core.kit": "RoomKit",
    "roomkit_core.errors": (
        "ChannelAlreadyRegisteredError ChannelNotFoundError ChannelNotRegisteredError ConfigError ConfigProblem "
        "ConflictError ConversationTakenError DeliveryFailedError DuplicateError EventNotFoundError HookError "
        "IdentityNotFoundError KitStateError ParticipantNotFoundError PluginError ProcessTimeoutError RoomClosedError "
        "RoomExistsError RoomKitError RoomNotFoundError SourceAlreadyAttachedError SourceNotFoundError StaleLeaseError "
        "StoreBusyError StoreError UnsupportedError VoiceBackendNotConfiguredError "
        "VoiceNotConfiguredError WorkNotFoundError"
    ),
    "roomkit_core.models.enums": (
        "Access BreakerState ChannelCategory ChannelDirection DeleteType DeliveryMode DeliveryState EventStatus "
        "HookAction HookExecution IdentificationStatus ParticipantRole ParticipantStatus ReceiptRank RoomStatus "
        "TaskStatus"
    ),
    "roomkit_core.models.kinds": "ChannelMediaType ChannelType EventType",
    "roomkit_core.models.content": (
        "AudioContent CompositeContent CustomContent DeleteContent EditContent EventContent LocationContent "
        "MediaContent RichContent SystemContent TemplateContent TextContent ToolCallContent VideoContent"
    ),
    "roomkit_core.models.event": "ChannelData EventSource RoomEvent Routing",
    "roomkit_core.models.channel": (
        "ChannelBinding ChannelCapabilities ChannelOutput ProviderResult RateLimit RetryPolicy Route"
    ),
    "roomkit_core.models.room": "Cursor Page Room RoomTimers Version",
    "roomkit_core.models.participant": "Identity IdentityResult Participant",
    "roomkit_core.models.task": "Observation Task",
    "roomkit_core.models.health": "Health HealthProblem",
    "roomkit_core.models.message": "Accepted InboundMessage InboundResult",
    "roomkit_core.models.delivery": (
        "Delivery DeliveryError DeliveryResult DeliveryStatus Loss LossReport Receipt Rendering"
    ),
    "roomkit_core.models.hook": "FrameworkEvent HookResult InjectedEvent",
    "roomkit_core.models.context": "RoomContext",
    "roomkit_core.models.retention": "Retention",
    "roomkit_core.models.settings": "Duration FilePath Settings Uses",
    "roomkit_core.models.story": "Cancellation Cancelling Pause Story StoryStep Trouble WorkView",
    "roomkit_core.models.triggers": "HookTrigger",
    "roomkit_core.models.work": "Attempt Outcome WorkKind WorkRow WorkState",
    "roomkit_core.models.changes": "ABSENT ChangeSet Committed Discharge KeyResult Refused Value Withdrawal",
    "roomkit_core.interfaces.auth": "AuthCallback AuthRequest Authenticator auth_context",
    "roomkit_core.interfaces.channel": "Channel",
    "roomkit_core.interfaces.clock": "Clock",
    "roomkit_core.interfaces.identity": "IdentityResolver",
    "roomkit_core.interfaces.kit": "KitProtocol Wait",
    "roomkit_core.interfaces.locks": "RoomLockManager",
    "roomkit_core.interfaces.resilience": "Breaker RateLimiter",
    "roomkit_core.interfaces.router": "InboundRoomRouter",
    "roomkit_core.interfaces.secrets": "SecretStore",
    "roomkit_core.interfaces.store": "ConversationStore Cutoffs DecidedKey Known RoomSnapshot Ticket WorkFilter",
    "roomkit_core.hooks.collected": "hook on on_delivery_status",
    "roomkit_core.builtin.bot": "BotChannel seat_bots",
    "roomkit_core.builtin.breaker": "CircuitBreaker",
    "roomkit_core.builtin.limiter": "TokenBucketRateLimiter",
    "roomkit_core.builtin.locks": "InMemoryLockManager",
    "roomkit_core.builtin.memory.store": "InMemoryStore",
    "roomkit_core.builtin.retry": "retry_with_backoff",
    "roomkit_core.builtin.router": "DefaultInboundRoomRouter",
    "roomkit_core.builtin.sqlite.store": "SQLiteStore",
    "roomkit_core.builtin.terminal": "TerminalChannel",
    "roomkit_core.config.logs": "configure_logging",
    "roomkit_core.plugin": "API_VERSION Command Component PluginInfo RouteSpec hookimpl",
    "roomkit_core.registry": "PluginReport PluginState",
}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names.split()}

if TYPE_CHECKING:
    from roomkit_core.builtin.bot import BotChannel as BotChannel
    from roomkit_core.builtin.bot import seat_bots as seat_bots
    from roomkit_core.builtin.breaker import CircuitBreaker as CircuitBreaker
    from roomkit_core.builtin.limiter import TokenBucketRateLimiter as TokenBucketRateLimiter
    from roomkit_core.builtin.locks import InMemoryLockManager as InMemoryLockManager
    from roomkit_core.builtin.memory.store import InMemoryStore as InMemoryStore
    from roomkit_core.builtin.retry import retry_with_backoff as retry_with_backoff
    from roomkit_core.builtin.router import DefaultInboundRoomRouter as DefaultInboundRoomRouter
    from roomkit_core.builtin.sqlite.store import SQLiteStore as SQLiteStore
    from roomkit_core.builtin.terminal import TerminalChannel as TerminalChannel
    from roomkit_core.config.logs import configure_logging as configure_logging
    from roomkit_core.errors import ChannelAlreadyRegisteredError as ChannelAlreadyRegisteredError
    from roomkit_core.errors import ChannelNotFoundError as ChannelNotFoundError
    from roomkit_core.errors import ChannelNotRegisteredError as ChannelNotRegisteredError
    from roomkit_core.errors import ConfigError as ConfigError
    from roomkit_core.errors import ConfigProblem as ConfigProblem
    from roomkit_core.errors import ConflictError as ConflictError
    from roomkit_core.errors import ConversationTakenError as ConversationTakenError
    from roomkit_core.errors import DeliveryFailedError as DeliveryFailedError
    from roomkit_core.errors import DuplicateError as DuplicateError
    from roomkit_core.errors import EventNotFoundError as EventNotFoundError
    from roomkit_core.errors import HookError as HookError
    from roomkit_core.errors import IdentityNotFoundError as IdentityNotFoundError
    from roomkit_core.errors import KitStateError as KitStateError
    from roomkit_core.errors import ParticipantNotFoundError as ParticipantNotFoundError
    from roomkit_core.errors import PluginError as PluginError
    from roomkit_core.errors import ProcessTimeoutError as ProcessTimeoutError
    from roomkit_core.errors import RoomClosedError as RoomClosedError
    from roomkit_core.errors import RoomExistsError as RoomExistsError
    from roomkit_core.errors import RoomKitError as RoomKitError
    from roomkit_core.errors import RoomNotFoundError as RoomNotFoundError
    from roomkit_core.errors import SourceAlreadyAttachedError as SourceAlreadyAttachedError
    from roomkit_core.errors import SourceNotFoundError as SourceNotFoundError
    from roomkit_core.errors import StaleLeaseError as StaleLeaseError
    from roomkit_core.errors import StoreBusyError as StoreBusyError
    from roomkit_core.errors import StoreError as StoreError
    from roomkit_core.errors import UnsupportedError as UnsupportedError
    from roomkit_core.errors import VoiceBackendNotConfiguredError as VoiceBackendNotConfiguredError
    from roomkit_core.errors import VoiceNotConfiguredError as VoiceNotConfiguredError
    from roomkit_core.errors import WorkNotFoundError as WorkNotFoundError
    from roomkit_core.hooks.collected import hook as hook
    from roomkit_core.hooks.collected import on as on
    from roomkit_core.hooks.collected import on_delivery_status as on_delivery_status
    from roomkit_core.interfaces.auth import AuthCallback as AuthCallback
    from roomkit_core.interfaces.auth import Authenticator as Authenticator
    from roomkit_core.interfaces.auth import AuthRequest as AuthRequest
    from roomkit_core.interfaces.auth import auth_context as auth_context
    from roomkit_core.interfaces.channel import Channel as Channel
    from roomkit_core.interfaces.clock import Clock as Clock
    from roomkit_core.interfaces.identity import IdentityResolver as IdentityResolver
    from roomkit_core.interfaces.kit import KitProtocol as KitProtocol
    from roomkit_core.interfaces.kit import Wait as Wait
    from roomkit_core.interfaces.locks import RoomLockManager as RoomLockManager
    from roomkit_core.interfaces.resilience import Breaker as Breaker
    from roomkit_core.interfaces.resilience import RateLimiter as RateLimiter
    from roomkit_core.interfaces.router import InboundRoomRouter as InboundRoomRouter
    from roomkit_core.interfaces.secrets import SecretStore as SecretStore
    from roomkit_core.interfaces.store import ConversationStore as ConversationStore
    from roomkit_core.interfaces.store import Cutoffs as Cutoffs
    from roomkit_core.interfaces.store import DecidedKey as DecidedKey
    from roomkit_core.interfaces.store import Known as Known
    from roomkit_core.interfaces.store import RoomSnapshot as RoomSnapshot
    from roomkit_core.interfaces.store import Ticket as Ticket
    from roomkit_core.interfaces.store import WorkFilter as WorkFilter
    from roomkit_core.kit import RoomKit as RoomKit
    from roomkit_core.models.changes import ABSENT as ABSENT
    from roomkit_core.models.changes import ChangeSet as ChangeSet
    from roomkit_core.models.changes import Committed as Committed
    from roomkit_core.models.changes import Discharge as Discharge
    from roomkit_core.models.changes import KeyResult as KeyResult
    from roomkit_core.models.changes import Refused as Refused
    from roomkit_core.models.changes import Value as Value
    from roomkit_core.models.changes import Withdrawal as Withdrawal
    from roomkit_core.models.channel import ChannelBinding as ChannelBinding
    from roomkit_core.models.channel import ChannelCapabilities as ChannelCapabilities
    from roomkit_core.models.channel import ChannelOutput as ChannelOutput
    from roomkit_core.models.channel import ProviderResult as ProviderResult
    from roomkit_core.models.channel import RateLimit as RateLimit
    from roomkit_core.models.channel import RetryPolicy as RetryPolicy
    from roomkit_core.models.channel import Route as Route
    from roomkit_core.models.content import AudioContent as AudioContent
    from roomkit_core.models.content import CompositeContent as CompositeContent
    from roomkit_core.models.content import CustomContent as CustomContent
    from roomkit_core.models.content import DeleteContent as DeleteContent
    from roomkit_core.models.content import EditContent as EditContent
    from roomkit_core.models.content import EventContent as EventContent
    from roomkit_core.models.content import LocationContent as LocationContent
    from roomkit_core.models.content import MediaContent as MediaContent
    from roomkit_core.models.content import RichContent as RichContent
    from roomkit_core.models.content import SystemContent as SystemContent
    from roomkit_core.models.content import TemplateContent as TemplateContent
    from roomkit_core.models.content import TextContent as TextContent
    from roomkit_core.models.content import ToolCallContent as ToolCallContent
    from roomkit_core.models.content import VideoContent as VideoContent
    from roomkit_core.models.context import RoomContext as RoomContext
    from roomkit_core.models.delivery import Delivery as Delivery
    from roomkit_core.models.delivery import DeliveryError as DeliveryError
    from roomkit_core.models.delivery import DeliveryResult as DeliveryResult
    from roomkit_core.models.delivery import DeliveryStatus as DeliveryStatus
    from roomkit_core.models.delivery import Loss as Loss
    from roomkit_core.models.delivery import LossReport as LossReport
    from roomkit_core.models.delivery import Receipt as Receipt
    from roomkit_core.models.delivery import Rendering as Rendering
    from roomkit_core.models.enums import Access as Access
    from roomkit_core.models.enums import BreakerState as BreakerState
    from roomkit_core.models.enums import ChannelCategory as ChannelCategory
    from roomkit_core.models.enums import ChannelDirection as ChannelDirection
    from roomkit_core.models.enums import DeleteType as DeleteType
    from roomkit_core.models.enums import DeliveryMode as DeliveryMode
    from roomkit_core.models.enums import DeliveryState as DeliveryState
    from roomkit_core.models.enums import EventStatus as EventStatus
    from roomkit_core.models.enums import HookAction as HookAction
    from roomkit_core.models.enums import HookExecution as HookExecution
    from roomkit_core.models.enums import IdentificationStatus as IdentificationStatus
    from roomkit_core.models.enums import ParticipantRole as ParticipantRole
    from roomkit_core.models.enums import ParticipantStatus as ParticipantStatus
    from roomkit_core.models.enums import ReceiptRank as ReceiptRank
    from roomkit_core.models.enums import RoomStatus as RoomStatus
    from roomkit_core.models.enums import TaskStatus as TaskStatus
    from roomkit_core.models.event import ChannelData as ChannelData
    from roomkit_core.models.event import EventSource as EventSource
    from roomkit_core.models.event import RoomEvent as RoomEvent
    from roomkit_core.models.event import Routing as Routing
    from roomkit_core.models.health import Health as Health
    from roomkit_core.models.health import HealthProblem as HealthProblem
    from roomkit_core.models.hook import FrameworkEvent as FrameworkEvent
    from roomkit_core.models.hook import HookResult as HookResult
    from roomkit_core.models.hook import InjectedEvent as InjectedEvent
    from roomkit_core.models.kinds import ChannelMediaType as ChannelMediaType
    from roomkit_core.models.kinds import ChannelType as ChannelType
    from roomkit_core.models.kinds import EventType as EventType
    from roomkit_core.models.message import Accepted as Accepted
    from roomkit_core.models.message import InboundMessage as InboundMessage
    from roomkit_core.models.message import InboundResult as InboundResult
    from roomkit_core.models.participant import Identity as Identity
    from roomkit_core.models.participant import IdentityResult as IdentityResult
    from roomkit_core.models.participant import Participant as Participant
    from roomkit_core.models.retention import Retention as Retention
    from roomkit_core.models.room import Cursor as Cursor
    from roomkit_core.models.room import Page as Page
    from roomkit_core.models.room import Room as Room
    from roomkit_core.models.room import RoomTimers as RoomTimers
    from roomkit_core.models.room import Version as Version
    from roomkit_core.models.settings import Duration as Duration
    from roomkit_core.models.settings import FilePath as FilePath
    from roomkit_core.models.settings import Settings as Settings
    from roomkit_core.models.settings import Uses as Uses
    from roomkit_core.models.story import Cancellation as Cancellation
    from roomkit_core.models.story import Cancelling as Cancelling
    from roomkit_core.models.story import Pause as Pause
    from roomkit_core.models.story import Story as Story
    from roomkit_core.models.story import StoryStep as StoryStep
    from roomkit_core.models.story import Trouble as Trouble
    from roomkit_core.models.story import WorkView as WorkView
    from roomkit_core.models.task import Observation as Observation
    from roomkit_core.models.task import Task as Task
    from roomkit_core.models.triggers import HookTrigger as HookTrigger
    from roomkit_core.models.work import Attempt as Attempt
    from roomkit_core.models.work import Outcome as Outcome
    from roomkit_core.models.work import WorkKind as WorkKind
    from roomkit_core.models.work import WorkRow as WorkRow
    from roomkit_core.models.work import WorkState as WorkState
    from roomkit_core.plugin import API_VERSION as API_VERSION
    from roomkit_core.plugin import Command as Command
    from roomkit_core.plugin import Component as Component
    from roomkit_core.plugin import PluginInfo as PluginInfo
    from roomkit_core.plugin import RouteSpec as RouteSpec
    from roomkit_core.plugin import hookimpl as hookimpl
    from roomkit_core.registry import PluginReport as PluginReport
    from roomkit_core.registry import PluginState as PluginState

__all__ = [
    "ABSENT",
    "API_VERSION",
    "Accepted",
    "Access",
    "Attempt",
    "AudioContent",
    "AuthCallback",
    "AuthRequest",
    "Authenticator",
    "BotChannel",
    "Breaker",
    "BreakerState",
    "Cancellation",
    "Cancelling",
    "ChangeSet",
    "Channel",
    "ChannelAlreadyRegisteredError",
    "ChannelBinding",
    "ChannelCapabilities",
    "ChannelCategory",
    "ChannelData",
    "ChannelDirection",
    "ChannelMediaType",
    "ChannelNotFoundError",
    "ChannelNotRegisteredError",
    "ChannelOutput",
    "ChannelType",
    "CircuitBreaker",
    "Clock",
    "Command",
    "Committed",
    "Component",
    "CompositeContent",
    "ConfigError",
    "ConfigProblem",
    "ConflictError",
    "ConversationStore",
    "ConversationTakenError",
    "Cursor",
    "CustomContent",
    "Cutoffs",
    "DecidedKey",
    "DefaultInboundRoomRouter",
    "DeleteContent",
    "DeleteType",
    "Delivery",
    "DeliveryError",
    "DeliveryFailedError",
    "DeliveryMode",
    "DeliveryResult",
    "DeliveryState",
    "DeliveryStatus",
    "Discharge",
    "DuplicateError",
    "Duration",
    "EditContent",
    "EventContent",
    "EventNotFoundError",
    "EventSource",
    "EventStatus",
    "EventType",
    "FilePath",
    "FrameworkEvent",
    "Health",
    "HealthProblem",
    "HookAction",
    "HookError",
    "HookExecution",
    "HookResult",
    "HookTrigger",
    "IdentificationStatus",
    "Identity",
    "IdentityNotFoundError",
    "IdentityResolver",
    "IdentityResult",
    "InMemoryLockManager",
    "InMemoryStore",
    "InboundMessage",
    "InboundResult",
    "InboundRoomRouter",
    "InjectedEvent",
    "KeyResult",
    "KitProtocol",
    "KitStateError",
    "Known",
    "LocationContent",
    "Loss",
    "LossReport",
    "MediaContent",
    "Observation",
    "Outcome",
    "Page",
    "Participant",
    "ParticipantNotFoundError",
    "ParticipantRole",
    "ParticipantStatus",
    "Pause",
    "PluginError",
    "PluginInfo",
    "PluginReport",
    "PluginState",
    "ProcessTimeoutError",
    "ProviderResult",
    "RateLimit",
    "RateLimiter",
    "Receipt",
    "ReceiptRank",
    "Refused",
    "Rendering",
    "Retention",
    "RetryPolicy",
    "RichContent",
    "Room",
    "RoomClosedError",
    "RoomContext",
    "RoomEvent",
    "RoomExistsError",
    "RoomKit",
    "RoomKitError",
    "RoomLockManager",
    "RoomNotFoundError",
    "RoomSnapshot",
    "RoomStatus",
    "RoomTimers",
    "Route",
    "RouteSpec",
    "Routing",
    "SQLiteStore",
    "SecretStore",
    "Settings",
    "SourceAlreadyAttachedError",
    "SourceNotFoundError",
    "StaleLeaseError",
    "StoreBusyError",
    "StoreError",
    "Story",
    "StoryStep",
    "SystemContent",
    "Task",
    "TaskStatus",
    "TemplateContent",
    "TerminalChannel",
    "TextContent",
    "Ticket",
    "TokenBucketRateLimiter",
    "ToolCallContent",
    "Trouble",
    "UnsupportedError",
    "Uses",
    "Value",
    "Version",
    "VideoContent",
    "VoiceBackendNotConfiguredError",
    "VoiceNotConfiguredError",
    "Wait",
    "Withdrawal",
    "WorkFilter",
    "WorkKind",
    "WorkNotFoundError",
    "WorkRow",
    "WorkState",
    "WorkView",
    "__version__",
    "auth_context",
    "configure_logging",
    "hook",
    "hookimpl",
    "on",
    "on_delivery_status",
    "retry_with_backoff",
    "seat_bots",
]


def __getattr__(name: str) -> Any:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'roomkit_core' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
