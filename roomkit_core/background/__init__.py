"""The one place that knows which event loop runs: background tasks of a kit, and what bounds the time of a message."""

from roomkit_core.background.bounds import Bounds, Expired, Late, go_on
from roomkit_core.background.strangers import as_stranger
from roomkit_core.background.tasks import Background

__all__ = ["Background", "Bounds", "Expired", "Late", "as_stranger", "go_on"]
