"""Who a plugin is, and the version of the interface between plugins and the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from roomkit_core.plugin.names import check_name, check_target, check_version

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
        config: Where the model of the plugin's own settings is, as ``"package.module:Name"``; None if it has none. It
            is called with the settings as keywords, without any where nobody gave some, and what it returns goes to
            those implementations that have a parameter ``settings``. A pydantic model is meant, any callable will do.

    Raises:
        ValueError: ``id``, ``api`` or ``config`` does not have its form.
    """

    id: str
    api: str
    summary: str = ""
    homepage: str = ""
    config: str | None = None

    def __post_init__(self) -> None:
        check_name(self.id, "plugin id")
        check_version(self.api, "plugin API version")
        if self.config is not None:
            check_target(self.config, "plugin configuration")
