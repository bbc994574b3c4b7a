"""What a plugin imports in order to register: nothing here loads more than the standard library and pluggy.

A plugin is a light module, named by an entry point of the group ``roomkit.plugins``::

    from roomkit_core.plugin import Component, Kind, PluginInfo, hookimpl

    PLUGIN = PluginInfo("pager", api="1.0", summary="Messages on a pager")

    @hookimpl
    def roomkit_components():
        yield Component(Kind.CHANNEL, "pager", "roomkit_pager.channel:PagerChannel")

The entry point has the plugin's id as its name. What may be implemented, and when it is called, stands in
:mod:`roomkit_core.plugin.specs`.
"""

from roomkit_core.plugin.command import Command
from roomkit_core.plugin.component import Component, Kind
from roomkit_core.plugin.info import API_VERSION, PluginInfo
from roomkit_core.plugin.markers import hookimpl, hookspec
from roomkit_core.plugin.registrar import HookRegistrar
from roomkit_core.plugin.route import RouteAuth, RouteSpec

__all__ = [
    "API_VERSION",
    "Command",
    "Component",
    "HookRegistrar",
    "Kind",
    "PluginInfo",
    "RouteAuth",
    "RouteSpec",
    "hookimpl",
    "hookspec",
]
