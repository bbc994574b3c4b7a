"""Times: aware UTC datetimes at the surface, integer microseconds since 1970 at rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CENTURY = 36_525 * 86_400.0  # seconds
_MICROSECOND = timedelta(microseconds=1)
_now = datetime.now


def utc_now() -> datetime:
    """The present moment, aware and in UTC."""
    return _now(UTC)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The moment ``value`` microseconds after 1970, in UTC."""
    return EPOCH + timedelta(microseconds=value)


def _to_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


Time = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An aware datetime, converted to UTC."""
