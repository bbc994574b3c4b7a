"""What a plugin may implement, each with its contract.

All are optional, none is called on the way of a message, none may be a wrapper. Implementations are called one at a
time, so that a raise has one culprit, and in the order in which plugins were loaded, whatever ``tryfirst`` and
``trylast`` say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from roomkit_core.plugin.component import Component
from roomkit_core.plugin.markers import hookspec
from roomkit_core.plugin.registrar import HookRegistrar

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
def roomkit_hooks(registrar: HookRegistrar) -> None:
    """Register the plugin's message hooks with ``@registrar.hook(...)``.

    When: once for each kit that names the plugin, before that kit starts. A plugin that is merely installed is not
    asked: no package changes what happens to messages because pip brought it.

    A raise: the plugin is withdrawn, its components too, it is reported as HOOK_ERROR, and the kit does not start.
    """


@hookspec
async def roomkit_startup(kit: KitProtocol) -> None:
    """Prepare what the plugin's components share, such as a connection pool.

    When: once each time the kit starts, before its channels do; plugins loaded earlier have finished theirs. Also for a
    plugin that is merely installed, if the kit discovers (``autoload=True``): cheap, while nothing is used. Awaited
    alone, on the kit's event loop, under a timeout of 30 seconds. When it returns, every task group and cancel scope
    that it opened is closed again.

    A raise or the timeout: reported as HOOK_ERROR. The kit does not start if it names the plugin; otherwise the others
    go on.
    """


@hookspec
async def roomkit_shutdown(kit: KitProtocol) -> None:
    """Give back what :func:`roomkit_startup` took.

    When: once each time the kit closes, after its channels closed; plugins loaded later have finished theirs. It is
    called exactly if the plugin's startup returned or the plugin has none. Awaited alone under a timeout of 10 seconds,
    within which the kit's own cancellation does not reach it.

    A raise or the timeout: reported as HOOK_ERROR; the others go on.
    """
