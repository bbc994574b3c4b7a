"""The one place that knows which event loop runs: background tasks of a kit, and one cancel scope per message."""

from roomkit_core.background.bounds import Bounds, Expired, bounded
from roomkit_core.background.strangers import as_stranger
from roomkit_core.background.tasks import Background

__all__ = ["Background", "Bounds", "Expired", "as_stranger", "bounded"]
