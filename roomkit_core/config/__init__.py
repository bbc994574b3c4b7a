"""``roomkit.toml``: read, completed by the environment, resolved and checked, all mistakes at once.

It knows no registry: which components there are comes in as :class:`~roomkit_core.config.catalog.Offers`.
"""

from roomkit_core.config.catalog import Offer, Offers
from roomkit_core.config.document import Document, read
from roomkit_core.config.parts import Part
from roomkit_core.config.plan import Plan, Planning

__all__ = ["Document", "Offer", "Offers", "Part", "Plan", "Planning", "read"]
