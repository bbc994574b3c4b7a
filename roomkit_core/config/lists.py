"""Which plugins may be loaded: ``allow`` and ``deny`` under ``[roomkit.plugins]``.

Read before all else and strictly: until it is clear who may be loaded, nobody is, and nothing that a plugin would have
to explain can be judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from roomkit_core.config.checking import Checking
from roomkit_core.config.document import Document
from roomkit_core.config.references import References
from roomkit_core.config.sections import PluginLists
from roomkit_core.errors import ConfigError

_ROOMKIT: Final = ("roomkit",)
_PLUGINS: Final = (*_ROOMKIT, "plugins")


def plugin_lists(document: Document, environ: Mapping[str, str]) -> PluginLists:
    """The two lists; without any, everything is allowed.

    Args:
        document: What was read, with what the environment says instead.
        environ: The environment, for references to it.

    Raises:
        ConfigError: They are no lists of ids, or something else stands beside them.
    """
    references = References(document, environ, {})
    checking = Checking(document, references)
    section = checking.table(document.data.get(_ROOMKIT[0], {}), _ROOMKIT)
    table = checking.table(section.get(_PLUGINS[1], {}), _PLUGINS)
    lists = checking.model(PluginLists, table, _PLUGINS)
    problems = [*checking.problems, *references.problems]
    if problems or not isinstance(lists, PluginLists):
        raise ConfigError(problems=problems)
    return lists
