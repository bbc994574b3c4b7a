"""People and bots in a room, and who they are outside of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from roomkit_core.models.base import EMPTY, Base, Data, freeze
from roomkit_core.models.content import Strings
from roomkit_core.models.enums import IdentificationStatus, ParticipantRole, ParticipantStatus
from roomkit_core.models.ids import new_id
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.time import Time, utc_now


class Participant(Base):
    """Somebody in a room, reached through ``channel_id``."""

    id: str
    room_id: str
    channel_id: str
    display_name: str | None = None
    role: ParticipantRole = ParticipantRole.MEMBER
    status: ParticipantStatus = ParticipantStatus.ACTIVE
    identification: IdentificationStatus = IdentificationStatus.PENDING
    identity_id: str | None = None
    candidates: Strings | None = None
    connected_via: Strings = Field(default_factory=lambda: freeze([]))
    external_id: str | None = None
    resolved_at: Time | None = None
    resolved_by: str | None = None
    joined_at: Time = Field(default_factory=utc_now)
    metadata: Data = EMPTY


class Identity(Base):
    """A person or organisation known across rooms and channels."""

    id: str = Field(default_factory=new_id)
    organization_id: str | None = None
    display_name: str | None = None
    email: str | None = None
    phone: str | None = None
    channel_addresses: Annotated[dict[str, list[str]], AfterValidator(freeze)] = EMPTY
    external_id: str | None = None
    external_ids: Annotated[dict[str, str], AfterValidator(freeze)] = EMPTY
    metadata: Data = EMPTY


class IdentityResult(Base):
    """What an identity resolver found out about a sender."""

    status: IdentificationStatus
    identity: Identity | None = None
    candidates: Annotated[list[Identity], AfterValidator(freeze)] = Field(default_factory=lambda: freeze([]))
    address: str | None = None
    channel_type: ChannelType | None = None
    challenge_type: str | None = None
    message: str | None = None
