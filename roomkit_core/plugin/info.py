"""Who a plugin is, and the version of the interface between plugins and the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roomkit_core.plugin.names import check_name, check_version

API_VERSION: Final = "1.0"
"""What this core offers to plugins. The minor grows with each addition, the major with each break.

It is apart from the release number. A plugin loads if its major is the same and its minor is not above.
"""


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """The ``PLUGIN`` of a plugin module.

    Args:
        id: Unique name of the plugin: of its entry point, in the configuration, in ``"id:component"``. At most 64
            lowercase letters, digits and underscores.
        api: The version of the plugin interface for which the plugin was written, as ``"major.minor"``. Write the
            number, not :data:`API_VERSION`: that one says what is installed and would agree with anything.
        summary: One line for people.
        homepage: Where people find more.

    Raises:
        ValueError: ``id`` or ``api`` does not have its form.
    """

    id: str
    api: str
    summary: str = ""
    homepage: str = ""

    def __post_init__(self) -> None:
        check_name(self.id, "plugin id")
        check_version(self.api, "plugin API version")
