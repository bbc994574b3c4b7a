"""Idempotency keys: of messages, of sends, and those derived for what an ask says itself."""

from __future__ import annotations

from hashlib import blake2b

from roomkit_core.models.changes import Key
from roomkit_core.models.message import InboundMessage
from roomkit_core.models.packing import pack_content


def message_key(message: InboundMessage) -> Key | None:
    """(channel, sender, id): the sender is part of it, because clients make up ids of their own (PROTOCOL C1)."""
    key = message.idempotency_key or message.provider_message_id
    return None if key is None else (message.channel_id, message.sender_id, key)


def send_key(channel_id: str, key: str) -> Key:
    """The key of a ``send_event`` that names one; no sender's id can be the same, because senders are not empty."""
    return (channel_id, "", key)


def content_digest(content: object) -> str:
    """A short fingerprint of what is said."""
    return blake2b("\x1f".join(part or "" for part in pack_content(content)).encode(), digest_size=12).hexdigest()


def derived_key(row_id: str, room_id: str, channel_id: str, digest: str, ordinal: int) -> Key:
    """The key of what the handler of a row says: the same words in a second run are the same message."""
    return (channel_id, "", f"{row_id}:{room_id}:{digest}:{ordinal}")
