"""What handlers of framework events are told: each event of the core and its plugins, when, and with which data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Told(NamedTuple):
    """A framework event.

    Attributes:
        when: A sentence that says when.
        data: What is in ``FrameworkEvent.data``, by its key.
        about: Those of ``room_id``, ``channel_id`` and ``event_id`` that are set, if they are known.
    """

    when: str
    data: Mapping[str, str] = MappingProxyType({})
    about: tuple[str, ...] = ("room_id", "channel_id", "event_id")


_ROOM: Final = ("room_id",)
_CHANNEL: Final = ("channel_id",)
_PLACE: Final = ("room_id", "channel_id")
_EVENT: Final = ("room_id", "event_id")

_CONNECTION: Final = {"connection_id": "The client"}
_FAILURES: Final = {"failures": "How many calls in a row have failed"}
_TIMER: Final = {"reason": '`"timer"`, if it was done by the timers of the room'}
_DELIVERY: Final = {
    "delivery_id": "The row of owed work, for `kit.deliveries`",
    "state": "A `WorkState`: what became of it",
    "code": "Why, as a code; None if all is well",
    "error": "Why, in words; None if all is well",
    "due_in": "Seconds until the next attempt; None if there is none",
}

TOLD: Final[Mapping[str, Told]] = {
    # --- rooms
    "room_created": Told("A room was made, by a call or by the first message of a conversation.", about=_ROOM),
    "room_paused": Told("A room was paused after a silence.", _TIMER, _EVENT),
    "room_closed": Told("A room was closed.", _TIMER, _EVENT),
    "room_deleted": Told("A room was deleted, with all that was in it.", about=_ROOM),
    "room_refused_event": Told("A message came to a closed room and was not stored.", about=_PLACE),
    "room_channel_attached": Told("A channel was attached to a room; the event says so in the timeline."),
    "room_channel_detached": Told("A channel was detached from a room; the event says so in the timeline."),
    "session_started": Told("The first message of a conversation made its room.", about=_PLACE),
    # --- events
    "event_processed": Told("An event was stored and is passed on; also one of bookkeeping."),
    "event_blocked": Told(
        "An event was stored and is passed on to nobody.",
        {
            "reason": "The reason that the hook gave, or a code",
            "blocked_by": "The name of the hook, or the code again if none blocked it",
        },
    ),
    "event_deleted": Told("An event was deleted; `channel_id` and `event_id` are those of the deleted one."),
    "process_timeout": Told(
        "A message was not committed in time, and nothing of it is stored.",
        {"timeout": "`process_timeout`, in seconds"},
        _PLACE,
    ),
    "message_quarantined": Told(
        "An accepted message failed again and again and was put aside.",
        {"id": "The row of owed work", "code": "Why, as a code", "error": "Why, in words"},
        _CHANNEL,
    ),
    # --- hooks and chains
    "hook_error": Told(
        "A hook raised, hung, or answered nonsense; or what it wanted to inject was too much.",
        {
            "hook": "Its name",
            "error": "What went wrong",
            "state": "A `WorkState`, of a durable hook alone: whether it is called again",
        },
    ),
    "chain_depth_exceeded": Told(
        "An answer to an answer was blocked because the chain is too deep.",
        {"chain_depth": "How deep it is", "max_chain_depth": "How deep it may be"},
    ),
    "loop_budget_spent": Told(
        "A chain has brought as many events as it may, and its last ones are asked about nowhere.",
        {"unasked": "How many questions were not asked"},
        _EVENT,
    ),
    "ask_failed": Told(
        "An intelligence channel was asked about an event and failed for good.",
        {"code": "Why, as a code", "error": "Why, in words"},
    ),
    # --- deliveries
    "delivery_succeeded": Told("A channel took a delivery, or some of its parts.", _DELIVERY),
    "delivery_delayed": Told("A delivery did not get through, or nobody knows, and it is tried again.", _DELIVERY),
    "delivery_failed": Told("A delivery ended and did not get through.", _DELIVERY),
    "delivery_status": Told(
        "A provider reported about a delivery, and it is better or worse off than was known.",
        {
            "delivery_id": "The row of owed work",
            "rank": "A `ReceiptRank`: how far it has got",
            "status": "The provider's own word",
        },
    ),
    # --- channels
    "channel_registered": Told("A channel was registered with the kit.", about=_CHANNEL),
    "channel_unregistered": Told("A channel was taken from the kit.", about=_CHANNEL),
    "channel_start_failed": Told("The start of a channel raised.", {"error": "What was raised"}, _CHANNEL),
    "channel_connected": Told("A client connected to a channel.", _CONNECTION, _PLACE),
    "channel_disconnected": Told("A client is gone from a channel.", _CONNECTION, _PLACE),
    "circuit_breaker_opened": Told(
        "A channel failed again and again and gets nothing to send for a while.", _FAILURES, _CHANNEL
    ),
    "circuit_breaker_closed": Told("A channel whose breaker was open works again.", _FAILURES, _CHANNEL),
}
