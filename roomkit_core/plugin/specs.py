"""What a plugin may implement, each with its contract.

All are optional, none is called on the way of a message, none may be a wrapper. Implementations are called one at a
time, so that a raise has one culprit, and in the order in which plugins were loaded, whatever ``tryfirst`` and
``trylast`` say. An implementation may leave out parameters that it does not need.

``settings`` is what the plugin's own configuration model (``PluginInfo.config``) made of the settings that were given
to the kit; None for a plugin without one. Settings that the model refuses make the plugin CONFIG_ERROR, and no
implementation that wants them is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from roomkit_core.plugin.command import Command
from roomkit_core.plugin.component import Component
from roomkit_core.plugin.markers import hookspec
from roomkit_core.plugin.registrar import HookRegistrar
from roomkit_core.plugin.route import RouteSpec

if TYPE_CHECKING:
    from roomkit_core.interfaces.kit import KitProtocol


@hookspec
def roomkit_components() -> Iterable[Component]:
    """The components that the plugin offers; most plugins are a generator of a few.

    When: once for each kit, right after the module was imported, before the kit starts. The plugin may be installed and
    never used, so this imports no component and does no work.

    A raise, another result than components, or one (kind, name) twice: the plugin is not registered at all and is
    reported as HOOK_ERROR.
    """
    return ()


@hookspec
def roomkit_hooks(registrar: HookRegistrar, settings: Any) -> None:
    """Register the plugin's message hooks with ``@registrar.hook(...)``.

    When: once for each kit that names the plugin, before that kit starts. A plugin that is merely installed is not
    asked: no package changes what happens to messages because pip brought it.

    A raise: the hooks that it had registered are removed, the plugin is withdrawn, its components too, it is reported
    as HOOK_ERROR, and the kit does not start if it requires the plugin.
    """


@hookspec
def roomkit_commands() -> Iterable[Command]:
    """The commands that the plugin adds to ``roomkit``.

    When: once in a process of the command line, and only if that was asked for its help, for a command that the core
    does not have, or for ``roomkit plugins`` and ``roomkit doctor``. Never for a kit. To be installed is enough, nobody
    has to name the plugin: a command does nothing until somebody types it. Names targets as strings, imports none.

    A raise, another result than commands, or one name twice: the plugin has no commands and is reported as HOOK_ERROR;
    its components can be used all the same, and so can everybody else's commands.
    """
    return ()


@hookspec
def roomkit_routes(settings: Any) -> Iterable[RouteSpec]:
    """What the plugin serves over HTTP or WebSocket, for a server that hosts the kit.

    When: once for each kit, when a server asks for its routes, before the kit starts; for plugins that the kit names or
    of which it has resolved a component. A plugin that is merely installed is not asked: no package opens a door
    because pip brought it. Also when ``roomkit plugins --check`` or ``roomkit doctor`` looks at it; they serve nothing.

    A raise, another result than routes, or one path twice: the plugin has no routes and is reported as HOOK_ERROR; the
    server is not built if the kit requires the plugin.
    """
    return ()


@hookspec
async def roomkit_startup(kit: KitProtocol, settings: Any) -> None:
    """Prepare what the plugin's components share, such as a connection pool.

    When: once each time the kit starts, before its channels do; plugins loaded earlier have finished theirs. Also for a
    plugin that is merely installed, if the kit discovers (``autoload=True``): cheap, while nothing is used. Awaited
    alone, on the kit's event loop, under a timeout of 30 seconds. When it returns, every task group and cancel scope
    that it opened is closed again.

    A raise or the timeout: reported as HOOK_ERROR. The kit does not start if it requires the plugin or uses a component
    of it; otherwise the others go on.
    """


@hookspec
async def roomkit_shutdown(kit: KitProtocol, settings: Any) -> None:
    """Give back what :func:`roomkit_startup` took.

    When: once each time the kit closes, after its channels closed; plugins loaded later have finished theirs. It is
    called exactly if the plugin's startup returned or the plugin has none. Awaited alone under a timeout of 10 seconds,
    within which the kit's own cancellation does not reach it.

    A raise or the timeout: reported as HOOK_ERROR; the others go on.
    """
