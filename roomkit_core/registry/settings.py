"""The settings of plugins: what a plugin's own model made of what was given.

A message about settings names fields and never values, for a value may be a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roomkit_core.errors import ConfigError
from roomkit_core.registry.imports import import_name
from roomkit_core.registry.report import PluginRecord, PluginState, Refused, describe


def settings_of(record: PluginRecord) -> Any:
    """The plugin's settings: those it was given, else what its model makes of nothing.

    Raises:
        Refused: CONFIG_ERROR: the model cannot be imported, or needs settings that nobody gave.
    """
    if record.settings is None and record.info is not None and record.info.config is not None:
        record.settings = make_settings(record.info.config, {})
    return record.settings


def make_settings(model: str, given: Mapping[str, object]) -> Any:
    """What the model of that name makes of the given settings. Raises :class:`Refused` as :func:`settings_of`."""
    try:
        make: Any = import_name(model)  # whatever it is, it said that it is to be called
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # as in the loader: sys.exit() in a module is that module's failure
        hint = f"the model of its settings cannot be imported from {model}: {describe(error)}"
        raise Refused(PluginState.CONFIG_ERROR, hint) from error
    try:
        return make(**given)
    except Exception as error:
        hint = f"its settings are not valid: {_without_values(error)}"
        raise Refused(PluginState.CONFIG_ERROR, hint) from ConfigError(hint)


def _without_values(error: Exception) -> str:
    details = getattr(error, "errors", None)  # of pydantic, whose text repeats the input
    if not callable(details):
        return type(error).__name__
    found = details(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in item['loc']) or 'all'}: {item['msg']}" for item in found)
