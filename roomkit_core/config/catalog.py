"""What the configuration has to know about components; whoever loads plugins provides it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from pydantic import BaseModel


class Offer(Protocol):
    """A component that a section can ``use``."""

    @property
    def plugin(self) -> str:
        """The plugin that brings it."""
        ...

    @property
    def name(self) -> str:
        """Its name among those of its kind."""
        ...


class Offers(Protocol):
    """All components that can be used, and the plugins that bring them.

    Each verb raises :class:`PluginError`, with a hint, for what is not there or does not work.
    """

    def all(self, kind: str | None = None) -> Collection[tuple[str, Offer]]:
        """Kind and component, of one kind or of all."""
        ...

    def find(self, kind: str, name: str) -> Offer:
        """The component of that name, or of ``"plugin:name"``."""
        ...

    def model(self, offer: Offer) -> type[BaseModel] | None:
        """The model of its configuration; None if it takes none."""
        ...

    def target(self, offer: Offer) -> Any:
        """What makes the component."""
        ...

    def trouble(self, plugin: str) -> tuple[str, str] | None:
        """What keeps the plugin from working, and what to do about it; None if it works."""
        ...

    def settings_model(self, plugin: str) -> type[BaseModel] | None:
        """The model of a plugin's own settings; None if it has none."""
        ...
