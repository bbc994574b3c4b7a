"""What a deciding hook answers, and the framework's own events."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from roomkit_core.models.base import EMPTY, Base, Data, freeze
from roomkit_core.models.content import Strings
from roomkit_core.models.enums import HookAction
from roomkit_core.models.event import RoomEvent
from roomkit_core.models.task import Observation, Task
from roomkit_core.models.time import Time, utc_now


class InjectedEvent(Base):
    """An event that a hook adds; it is committed with the message and goes to ``target_channel_ids`` or nobody."""

    event: RoomEvent
    target_channel_ids: Strings | None = None


class HookResult(Base):
    """A deciding hook's verdict; ``modify`` brings an event, ``block`` a reason."""

    action: HookAction = HookAction.ALLOW
    event: Any = None
    reason: str | None = None
    injected_events: Annotated[list[InjectedEvent], AfterValidator(freeze)] = Field(default_factory=lambda: freeze([]))
    tasks: Annotated[list[Task], AfterValidator(freeze)] = Field(default_factory=lambda: freeze([]))
    observations: Annotated[list[Observation], AfterValidator(freeze)] = Field(default_factory=lambda: freeze([]))
    metadata: Data = EMPTY

    @model_validator(mode="after")
    def _is_complete(self) -> HookResult:
        if self.action is HookAction.MODIFY and self.event is None:
            raise ValueError("modify needs an event")
        if self.action is HookAction.BLOCK and not self.reason:
            raise ValueError("block needs a reason")
        return self

    @classmethod
    def allow(cls, injected: list[InjectedEvent] | None = None) -> HookResult:
        """Let the event pass as it is."""
        return cls(injected_events=injected) if injected else plain_allow()

    @classmethod
    def block(
        cls,
        reason: str,
        injected: list[InjectedEvent] | None = None,
        tasks: list[Task] | None = None,
        observations: list[Observation] | None = None,
    ) -> HookResult:
        """Store the event as BLOCKED and pass it on to nobody; no later hook sees it."""
        return cls(
            action=HookAction.BLOCK,
            reason=reason,
            injected_events=injected or [],
            tasks=tasks or [],
            observations=observations or [],
        )

    @classmethod
    def modify(cls, event: Any, injected: list[InjectedEvent] | None = None) -> HookResult:
        """Go on with ``event`` in the place of the one that came."""
        return cls(action=HookAction.MODIFY, event=event, injected_events=injected or [])


@cache
def plain_allow() -> HookResult:
    """The one HookResult that allows and says nothing else."""
    return HookResult()


class FrameworkEvent(Base):
    """Something the framework tells about itself, to handlers of ``kit.on(type)``; at most once."""

    type: str
    room_id: str | None = None
    channel_id: str | None = None
    event_id: str | None = None
    timestamp: Time = Field(default_factory=utc_now)
    data: Data = EMPTY
