"""The plugins of this repository, as the kit finds them."""

from __future__ import annotations

from roomkit_core.builtin import plugin as builtin_plugin
from roomkit_core.registry import PluginRegistry


def own_plugins() -> PluginRegistry:
    """The plugins of this repository, whatever else is installed."""
    registry = PluginRegistry()
    registry.load(builtin_plugin)
    registry.discover()
    foreign = [r.id for r in registry.report() if r.distribution and not r.distribution.startswith("roomkit-")]
    own = PluginRegistry(deny=foreign)
    own.load(builtin_plugin)
    own.discover()
    return own


def distribution(plugin: str) -> str:
    """What has to be installed for a plugin, in words."""
    return "built in" if plugin == "builtin" else f"roomkit-{plugin}"
