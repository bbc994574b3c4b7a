"""Closed sets: the words whose meaning the core itself decides."""

from __future__ import annotations

from enum import StrEnum


class ChannelCategory(StrEnum):
    """Whether a binding carries messages to people or asks something that answers."""

    TRANSPORT = "transport"
    INTELLIGENCE = "intelligence"


class ChannelDirection(StrEnum):
    """Which way events flow through a binding; an ``OUTBOUND`` binding takes part only as a source."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    BIDIRECTIONAL = "bidirectional"


class Access(StrEnum):
    """What a binding may do in its room."""

    READ_WRITE = "read_write"
    READ_ONLY = "read_only"
    WRITE_ONLY = "write_only"
    NONE = "none"


class EventStatus(StrEnum):
    """Where an event stands; in the timeline it is ``DELIVERED`` (accepted for delivery) or ``BLOCKED``."""

    PENDING = "pending"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    BLOCKED = "blocked"


class RoomStatus(StrEnum):
    """``CLOSED`` and ``ARCHIVED`` rooms take no more events."""

    ACTIVE = "active"
    PAUSED = "paused"
    CLOSED = "closed"
    ARCHIVED = "archived"


class ParticipantRole(StrEnum):
    """What a participant is to the room."""

    OWNER = "owner"
    AGENT = "agent"
    MEMBER = "member"
    OBSERVER = "observer"
    BOT = "bot"


class ParticipantStatus(StrEnum):
    """Whether a participant is there."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    LEFT = "left"
    BANNED = "banned"


class IdentificationStatus(StrEnum):
    """How sure we are who a participant is."""

    IDENTIFIED = "identified"
    PENDING = "pending"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    CHALLENGE_SENT = "challenge_sent"
    REJECTED = "rejected"


class TaskStatus(StrEnum):
    """Where a task stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DeleteType(StrEnum):
    """On whose authority an event is deleted."""

    SENDER = "sender"
    SYSTEM = "system"
    ADMIN = "admin"


class DeliveryMode(StrEnum):
    """How a channel reaches its recipients."""

    BROADCAST = "broadcast"
    DIRECT = "direct"
    ROUND_ROBIN = "round_robin"


class HookExecution(StrEnum):
    """``SYNC`` hooks decide about an event, ``ASYNC`` ones observe it."""

    SYNC = "sync"
    ASYNC = "async"


class HookAction(StrEnum):
    """What a deciding hook says."""

    ALLOW = "allow"
    BLOCK = "block"
    MODIFY = "modify"


class DeliveryState(StrEnum):
    """The life of one owed delivery; ``LIVE`` is a hint to connected clients, for which nothing is owed."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    UNKNOWN = "unknown"
    QUEUED = "queued"
    LIVE = "live"
    SENT = "sent"
    PARTIAL = "partial"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    FAILED = "failed"
    DEAD = "dead"


class BreakerState(StrEnum):
    """Whether calls to a provider go through: every one, none, or one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class ReceiptRank(StrEnum):
    """What the provider reported about a delivery; it only grows, in the order of the members."""

    NONE = "none"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    READ = "read"
    UNDELIVERED = "undelivered"
