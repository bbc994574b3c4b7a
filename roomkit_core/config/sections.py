"""The sections that the core itself reads, as models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from roomkit_core.models.channel import RateLimit
from roomkit_core.models.retention import Retention
from roomkit_core.models.settings import Duration, FilePath, Settings

Level = Literal["debug", "info", "warning", "error"]


class PluginLists(Settings):
    """``[roomkit.plugins]``: which installed plugins may be loaded."""

    allow: tuple[str, ...] | None = Field(default=None, description="Ids of plugins that may be loaded; all if absent.")
    deny: tuple[str, ...] = Field(default=(), description="Ids of plugins that may not, whatever `allow` says.")


class KitSection(Settings):
    """``[roomkit]``: the kit."""

    app: tuple[str, ...] = Field(default=(), description="Modules with the bot's hooks, imported beside this file.")
    store: str | None = Field(
        None,
        description="Which of `[stores.*]`. If absent the only one; without any, SQLite in `room.db` beside this file.",
    )
    lock: str | None = Field(
        default=None, description="Which of `[locks.*]`. If absent the only one; without any, locks of this process."
    )
    router: str | None = Field(
        default=None, description="Which of `[routers.*]`. If absent the only one; without any, by conversation key."
    )
    plugins: PluginLists = Field(default_factory=lambda: PluginLists(), description="Which plugins may be loaded.")
    attach: tuple[str, ...] = Field(
        default=(), description="Channels that each room made by a message has from its first event on; often a bot's."
    )
    max_chain_depth: int = Field(default=5, ge=1, description="How many answers deep a chain of events may grow.")
    process_timeout: Duration = Field(default=30.0, gt=0, description="Seconds from reading the room to the commit.")
    cache_mb: float = Field(default=128, gt=0, description="Megabytes for the rooms used last.")
    inbound_rate_limit: RateLimit | None = Field(default=None, description="How many messages a channel may bring in.")
    inbound_sender_rate_limit: RateLimit | None = Field(default=None, description="The same for each of its senders.")


class LoggingSection(Settings):
    """``[logging]``: what commands that run a kit write down. A library says nothing by itself."""

    format: Literal["text", "json"] = Field(default="text", description="Lines for people, or one JSON object a line.")
    level: Level = Field(default="info", description="The least that is written.")
    levels: dict[str, Level] = Field(
        default_factory=dict, description='Other levels for parts, such as `"roomkit.delivery" = "debug"`.'
    )
    file: FilePath | None = Field(
        default=None, description="Appended to instead of standard error; when it is moved away, a new one is made."
    )


SECTIONS: dict[str, type[Settings]] = {
    "roomkit": KitSection,
    "logging": LoggingSection,
    "retention": Retention,
}
"""The core's own sections."""

PLUGINS = "plugins"
"""The section with the settings of plugins and the defaults of their components."""
