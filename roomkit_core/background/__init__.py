"""The one place that knows which event loop runs: background tasks of a kit, and what bounds the time of a message."""

from roomkit_core.background.bounds import Bounds, Expired, Late, go_on
from roomkit_core.background.postbox import Post, postbox
from roomkit_core.background.strangers import as_stranger, is_stray
from roomkit_core.background.tasks import Background

__all__ = ["Background", "Bounds", "Expired", "Late", "Post", "as_stranger", "go_on", "is_stray", "postbox"]
