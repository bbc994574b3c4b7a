"""The plugins of one kit: found, loaded each for itself, and accounted for in a report."""

from roomkit_core.registry.catalog import CatalogEntry
from roomkit_core.registry.contributions import CommandEntry, RouteEntry
from roomkit_core.registry.discovery import GROUP, Candidate
from roomkit_core.registry.registry import PluginRegistry
from roomkit_core.registry.report import PluginReport, PluginState

__all__ = [
    "GROUP",
    "Candidate",
    "CatalogEntry",
    "CommandEntry",
    "PluginRegistry",
    "PluginReport",
    "PluginState",
    "RouteEntry",
]
