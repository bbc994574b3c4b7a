"""What people are shown about owed work: one row, and the story behind anything that has an id."""

from __future__ import annotations

from enum import StrEnum

from roomkit_core.models.base import Base
from roomkit_core.models.delivery import NO_LOSS, LossReport
from roomkit_core.models.enums import ReceiptRank
from roomkit_core.models.time import Time
from roomkit_core.models.work import OPEN_STATES, WorkKind, WorkState


class WorkView(Base):
    """One row of owed work, as it was when it was read.

    Attributes:
        id: The row; what the verbs of ``kit.deliveries`` take.
        kind, state: What it asks for, and where it stands.
        channel_id: The channel; empty for work of no channel.
        room_id, event_id: What it is about, if it is about a room or an event.
        name: What it goes to: the address of a delivery, the name of a durable hook.
        attempts: How many tries there were, the present one included.
        takeovers: How many holders of it never came back.
        maybe_sent: It may have reached somebody, whatever ``state`` says.
        parts, parts_done: Of how many calls it consists, and how many of them are through.
        is_queued: It waits behind another row of its lane.
        is_cancelled: It gets no further attempt; one that is under way may still go through.
        created_at, due, expires_at, settled_at: When it was born, when it is tried next, when it is given up, when it
            got its outcome.
        code, reason: Why it stands there: for programs and for people.
        provider_ids: The provider's names of what was sent.
        receipt_rank, receipt_at: What the provider reported later, and when that was, as it says.
        loss: What became of each piece of the content on this channel; empty where it carries all of it.
        retry_of: The row that it is a retry of.
        correlation_id: The event with which its chain began.
    """

    id: str
    kind: WorkKind
    state: WorkState
    channel_id: str = ""
    room_id: str | None = None
    event_id: str | None = None
    name: str = ""
    attempts: int = 0
    takeovers: int = 0
    maybe_sent: bool = False
    parts: int = 0
    parts_done: int = 0
    is_queued: bool = False
    is_cancelled: bool = False
    created_at: Time
    due: Time | None = None
    expires_at: Time | None = None
    settled_at: Time | None = None
    code: str | None = None
    reason: str | None = None
    provider_ids: tuple[str, ...] = ()
    receipt_rank: ReceiptRank = ReceiptRank.NONE
    receipt_at: Time | None = None
    loss: LossReport = NO_LOSS
    retry_of: str | None = None
    correlation_id: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still has to be done or its outcome is unknown."""
        return self.state in OPEN_STATES


class Pause(Base):
    """A channel that an operator has paused: nothing that is owed to it is tried."""

    channel_id: str
    since: Time
    reason: str | None = None


class Cancelling(StrEnum):
    """What a cancellation came to."""

    CANCELLED = "cancelled"
    """It was waiting and is not done."""
    UNDER_WAY = "under_way"
    """It was being tried: it gets no further attempt, this one may go through."""
    TOO_LATE = "too_late"
    """It had its outcome before."""


class Cancellation(Base):
    """What a cancellation came to, and the row afterwards."""

    result: Cancelling
    work: WorkView


class StoryStep(Base):
    """One thing that happened, or holds.

    Attributes:
        at: When; None for what holds now.
        text: It, in one line.
        work_id: The row that it is about.
        code: The code that was recorded with it.
        level: 0 for the way of the message, 1 for what belongs to the step before, and so on.
    """

    at: Time | None = None
    text: str
    work_id: str | None = None
    code: str | None = None
    level: int = 0


class Trouble(Base):
    """Something that is not well, or not through yet.

    Attributes:
        about: What is not well: the message, or one of its deliveries.
        code: The recorded code, or ``waits.*`` for what only waits.
        cause: Why, in one sentence.
        hint: What to do about it; empty where there is nothing to do.
        work_id: The row that it is about.
        is_waiting: Whether it goes on by itself.
    """

    about: str
    code: str
    cause: str
    hint: str = ""
    work_id: str | None = None
    is_waiting: bool = False


class Story(Base):
    """Everything that is known about one id, from arrival to receipt; ``print`` it, or dump it as JSON.

    Attributes:
        asked: The id that was asked about.
        found_as: What it is: ``event``, ``delivery``, ``provider's id``, ``key`` and so on.
        summary: How it stands, in one line.
        steps: What happened, in order, then what holds now.
        troubles: What is not well, that which was asked about first and the worst next.
        work: The rows that the story is about.
        room_id, event_id: What it is about, if that is known.
        as_of: When it was read.
    """

    asked: str
    found_as: str
    summary: str
    steps: tuple[StoryStep, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    work: tuple[WorkView, ...] = ()
    room_id: str | None = None
    event_id: str | None = None
    as_of: Time

    @property
    def cause(self) -> str | None:
        """Why it is not well or not through, in one sentence; None if all is well."""
        return self.troubles[0].cause if self.troubles else None

    @property
    def hint(self) -> str | None:
        """What to do about it; None if there is nothing to do."""
        return (self.troubles[0].hint or None) if self.troubles else None

    def __str__(self) -> str:
        """The story on one screen, without colours."""
        lines = [f"{self.found_as} {self.asked}", f"  {self.summary}", ""]
        day = None
        for step in self.steps:
            if step.at is not None and step.at.date() != day:
                day = step.at.date()
                lines.append(f"  {day.isoformat()} (UTC)")
            moment = "now     " if step.at is None else step.at.strftime("%H:%M:%S")
            lines.append(f"  {moment}  {'    ' * step.level}{step.text}")
        for trouble in self.troubles:
            lines += ["", f"cause ({trouble.about}): {trouble.cause}"]
            lines += [f"what to do: {trouble.hint}"] if trouble.hint else []
        return "\n".join(printable(line) for line in lines)


def printable(text: str, longest: int = 400) -> str:
    """One line of text that cannot steer a terminal; what is longer is cut."""
    shown = text if text.isprintable() else "".join(one if one.isprintable() else _escaped(one) for one in text)
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


def _escaped(character: str) -> str:
    return " " if character in "\n\t" else character.encode("unicode_escape").decode()
