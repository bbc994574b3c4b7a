"""How long what is over is kept."""

from __future__ import annotations

from pydantic import Field, field_validator

from roomkit_core.models.settings import Duration, Settings

HOUR, DAY = 3_600.0, 86_400.0


class Retention(Settings):
    """How long what is over is kept, in seconds; the pump forgets the rest.

    Raises:
        ValueError: A time is negative, or ``keys`` is below 72 hours.
    """

    settled: Duration = Field(default=7 * DAY, ge=0, description="Work that ended well.")
    dead: Duration = Field(default=30 * DAY, ge=0, description="Work that failed, expired or was given up.")
    bodies: Duration = Field(default=DAY, ge=0, description="What settled work was about, which a retry needs.")
    keys: Duration = Field(default=7 * DAY, description="Idempotency keys; at least 72 hours, for providers redeliver.")
    blocked: Duration = Field(default=30 * DAY, ge=0, description="What blocked events said.")

    @field_validator("keys")
    @classmethod
    def _outlive_redelivery(cls, value: float) -> float:
        if value < 72 * HOUR:
            raise ValueError("keys must be kept for at least 72 hours: until then a provider may send a message again")
        return value
