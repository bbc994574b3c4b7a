"""Which installed plugins may be loaded at all: the operator's two lists."""

from __future__ import annotations

from collections.abc import Collection


class Admission:
    """An allow list and a deny list.

    Args:
        allow: Ids that may be loaded; all if None.
        deny: Ids that may not, whatever ``allow`` says.

    Raises:
        TypeError: A list is a single string, whose letters would pass as ids.
    """

    def __init__(self, allow: Collection[str] | None, deny: Collection[str]) -> None:
        if isinstance(allow, str) or isinstance(deny, str):
            raise TypeError("allow and deny are lists of plugin ids, not one string")
        self._allow = None if allow is None else frozenset(allow)
        self._deny = frozenset(deny)

    def objection(self, plugin_id: str) -> str:
        """Why the plugin may not be loaded; empty if it may."""
        if plugin_id in self._deny:
            return "it is on the list of denied plugins: take it off to use it"
        if self._allow is not None and plugin_id not in self._allow:
            return "it is not on the list of allowed plugins: add it to use it"
        return ""
