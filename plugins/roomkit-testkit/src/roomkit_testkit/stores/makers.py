"""What tests of stores write: short events and rows, and a writer that keeps track of the room's version."""

from __future__ import annotations

from typing import Any

from roomkit_core.interfaces.store import Answer, ConversationStore, WorkFilter
from roomkit_core.models.changes import ABSENT, ChangeSet, Committed, Key, KeyResult, Refused
from roomkit_core.models.channel import ChannelBinding, Route
from roomkit_core.models.content import SystemContent, TextContent
from roomkit_core.models.event import EventSource, RoomEvent
from roomkit_core.models.ids import new_id
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.participant import Participant
from roomkit_core.models.room import Room, Version
from roomkit_core.models.work import Outcome, WorkKind, WorkRow, WorkState

LANE = ("room", "sms", "+15550100")
SENT = Outcome(WorkState.SENT)
ANSWERED = Outcome(WorkState.ANSWERED)
AGAIN = Outcome(WorkState.PENDING, "provider.busy", "try again later")
UNKNOWN = Outcome(WorkState.UNKNOWN, "provider.timeout", "no answer within 15 s")
FAILED = Outcome(WorkState.FAILED, "provider.refused", "no such number")
HANDED_BACK = Outcome(WorkState.PENDING, untouched=True)


def text_event(text: str = "hello", *, room_id: str = "room", **fields: Any) -> RoomEvent:
    source = EventSource(channel_id="sms", channel_type=ChannelType.SMS, participant_id="ada")
    return RoomEvent(**{"room_id": room_id, "source": source, "content": TextContent(body=text), **fields})


def delivery(
    lane: tuple[str, ...] = LANE, *, state: WorkState = WorkState.PENDING, row_id: str | None = None, **fields: Any
) -> WorkRow:
    """A row of a delivery; with state IN_FLIGHT it asks to be claimed at birth."""
    row_id = row_id or new_id()
    known = {"room_id": "room", "event_id": None, "payload": (("text", "hello"),), "provider_key": row_id, **fields}
    return WorkRow(
        id=row_id,
        kind=known.pop("kind", WorkKind.DELIVERY),
        channel_id=known.pop("channel_id", "sms"),
        lane=lane,
        state=state,
        **known,
    )


def binding(channel_id: str = "sms", *, room_id: str = "room", **fields: Any) -> ChannelBinding:
    return ChannelBinding(**{"channel_id": channel_id, "room_id": room_id, "channel_type": ChannelType.SMS, **fields})


def said(event: RoomEvent) -> str:
    """The text of an event that :func:`text_event` made, or of what is left of it."""
    assert isinstance(event.content, TextContent | SystemContent)
    return event.content.body


def route(address: str = "+15550100") -> Route:
    return Route(address=address)


def person(participant_id: str = "ada", *, room_id: str = "room", **fields: Any) -> Participant:
    return Participant(**{"id": participant_id, "room_id": room_id, "channel_id": "sms", **fields})


def key(provider_id: str, *, channel_id: str = "sms", sender: str = "+15550100") -> Key:
    return (channel_id, sender, provider_id)


def decided(provider_id: str, event_id: str | None = None, *, room_id: str = "room") -> tuple[Key, KeyResult]:
    return key(provider_id), KeyResult(room_id, event_id)


class Writer:
    """Commits as a kit does: each batch is planned on the version that the one before returned.

    Args:
        store: The store.
        owner: Who its claims belong to.
        room_id: The room it writes to.
    """

    def __init__(self, store: ConversationStore, owner: str = "kit-1", room_id: str = "room") -> None:
        self.store, self.owner, self.room_id = store, owner, room_id
        self.version: Version | None = None

    async def create(self, room: Room | None = None, **parts: Any) -> Committed:
        """Create the room."""
        room = room or Room(id=self.room_id)
        return await self.write(**{"expected": ABSENT, "epoch": new_id(), "room": room, **parts})

    def batch(self, **parts: Any) -> ChangeSet:
        """A batch on the version that this writer knows."""
        known: dict[str, Any] = {
            "room_id": self.room_id,
            "commit_id": new_id(),
            "expected": self.version,
            "owner": self.owner,
            "lease": 60.0,
        }
        return ChangeSet(**{**known, **parts})

    async def submit(self, changes: ChangeSet) -> Answer:
        """Hand in a batch and remember the version that it made."""
        answer = await self.store.commit(changes)
        if isinstance(answer, Committed) and answer.version is not None:
            self.version = answer.version
        return answer

    async def commit(self, **parts: Any) -> Answer:
        """Make a batch and hand it in."""
        return await self.submit(self.batch(**parts))

    async def write(self, **parts: Any) -> Committed:
        """Make a batch and hand it in; it must not be refused."""
        answer = await self.commit(**parts)
        assert isinstance(answer, Committed), answer
        return answer

    async def refused(self, **parts: Any) -> Refused:
        """Make a batch and hand it in; it must be refused."""
        answer = await self.commit(**parts)
        assert isinstance(answer, Refused), answer
        return answer

    async def say(self, text: str = "hello", **parts: Any) -> RoomEvent:
        """Commit one event and return it as stored."""
        event = text_event(text, room_id=self.room_id)
        await self.write(events=(event,), **parts)
        stored = await self.store.get_event(event.id)
        assert stored is not None
        return stored

    async def owe(self, *rows: WorkRow) -> Committed:
        """Commit an event with owed rows."""
        return await self.write(events=(text_event(room_id=self.room_id),), work=rows)


async def get_row(store: ConversationStore, row_id: str) -> WorkRow | None:
    """The row, open or settled."""
    return next(iter(await store.list_work(WorkFilter(row_id=row_id))), None)


async def claim(store: ConversationStore, owner: str = "kit-1", **options: Any) -> list[WorkRow]:
    """Claim with a lease of 60 s."""
    return await store.claim(owner, **{"lease": 60.0, "limit": 100, **options})
