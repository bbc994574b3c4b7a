"""Why a name does not lead to a component or a plugin, in words that lead to the remedy (T37)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from roomkit_core.errors import PluginError
from roomkit_core.registry.catalog import Catalog, CatalogEntry
from roomkit_core.registry.discovery import Candidate
from roomkit_core.registry.report import PluginRecord

_UNKNOWN: Final = "plugin.component_unknown"


def ambiguous(kind: str, name: str, matches: Sequence[CatalogEntry]) -> PluginError:
    """Several plugins offer the component."""
    names = ", ".join(entry.full_name for entry in matches)
    message = f"{name!r} can be any of several components of kind {kind!r}: {names}"
    return PluginError(message, code="plugin.component_ambiguous", hint='Write "plugin:name".')


def unknown_component(
    kind: str, name: str, catalog: Catalog, records: Sequence[PluginRecord], installed: Sequence[Candidate]
) -> PluginError:
    """Nobody offers the component; says what is close, and which plugin would offer it if it worked or were loaded."""
    message = f"no component of kind {kind!r} is named {name!r}"
    known = [entry.full_name if ":" in name else entry.component.name for entry in catalog.of_kind(kind)]
    others = sorted({entry.component.kind for entry in catalog if name in (entry.component.name, entry.full_name)})
    close = get_close_matches(name, known)
    if close:
        message += f"; did you mean {_either(close)}?"
    elif others:
        message += f"; there is one of kind {_either(others)}"
    suspects, waiting = _behind(name, records, installed, anybody=not close and not others)

    hint = "Correct the name or the kind." if close or others else _install()
    error = PluginError(message, code=_UNKNOWN, hint=hint)
    if waiting:
        first = waiting[0]
        message += ". Installed but not loaded: " + ", ".join(f"{found.id} ({found.origin})" for found in waiting)
        hint = f"RoomKit(plugins=[{first.id!r}]) loads it; autoload=True loads all that is installed."
        error = PluginError(message, plugin=first.id, code=_UNKNOWN, hint=hint)
    if suspects:
        broken = suspects[0]
        message += ". Installed but not usable: " + "; ".join(str(found.report()) for found in suspects)
        error = PluginError(message, plugin=broken.id, state=broken.state, code=_UNKNOWN, hint=broken.hint)
        error.__cause__ = broken.exception
    return error


def unknown_plugin(plugin_id: str, installed: Sequence[Candidate]) -> PluginError:
    """No such plugin is installed."""
    message = f"no plugin {plugin_id!r} is installed in {sys.prefix}"
    if close := get_close_matches(plugin_id, [candidate.id for candidate in installed]):
        message += f"; did you mean {_either(close)}?"
    return PluginError(message, plugin=plugin_id, code="plugin.not_installed", hint=_install())


def not_working(plugin_id: str, known: Sequence[PluginRecord], installed: Sequence[Candidate]) -> PluginError:
    """The plugin cannot be used: it is not loaded, broken, or not installed."""
    if known:
        broken = known[0]
        error = PluginError(
            f"the plugin cannot be used: {broken.report()}", plugin=plugin_id, state=broken.state, hint=broken.hint
        )
        error.__cause__ = broken.exception
        return error
    if any(candidate.id == plugin_id for candidate in installed):
        hint = f"RoomKit(plugins=[{plugin_id!r}]) loads it; autoload=True loads all that is installed."
        message = f"the plugin {plugin_id!r} is installed and not loaded"
        return PluginError(message, plugin=plugin_id, code="plugin.not_loaded", hint=hint)
    return unknown_plugin(plugin_id, installed)


def _behind(
    name: str, records: Sequence[PluginRecord], installed: Sequence[Candidate], *, anybody: bool
) -> tuple[list[PluginRecord], list[Candidate]]:
    """Plugins that may bring a name, broken ones and idle ones: those of a similar id; if there are none, all."""
    known = {record.id for record in records}
    broken = [record for record in records if record.broken and not record.components]
    idle = [candidate for candidate in installed if candidate.id not in known]
    suspects = [record for record in broken if _related(record.id, name)]
    waiting = [candidate for candidate in idle if _related(candidate.id, name)]
    return (broken, idle) if anybody and not suspects and not waiting else (suspects, waiting)


def _related(plugin_id: str, name: str) -> bool:
    plugin, _, component = name.rpartition(":")
    wanted = plugin or component
    return plugin_id in wanted or wanted in plugin_id or bool(get_close_matches(wanted, [plugin_id]))


def _either(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names)


def _install() -> str:
    return f"Install the package that brings it into this environment: {sys.executable} -m pip install ..."
