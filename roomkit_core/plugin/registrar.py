"""What ``roomkit_hooks`` receives: the kit's own ``hook`` decorator, and nothing else of the kit."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Literal, Protocol, TypeVar

# A hook takes what its trigger brings and answers what that trigger understands; only the kit can tell.
Hook = TypeVar("Hook", bound=Callable[..., Any])


class HookRegistrar(Protocol):
    """Registers hooks for the messages of one kit."""

    def hook(
        self,
        trigger: str,
        execution: str = ...,
        priority: int = 0,
        name: str = "",
        timeout: float = 30.0,
        channel_types: Collection[str] | None = None,
        channel_ids: Collection[str] | None = None,
        directions: Collection[str] | None = None,
        *,
        on_error: Literal["allow", "block"] = "allow",
        durable: bool = False,
    ) -> Callable[[Hook], Hook]:
        """As :meth:`RoomKit.hook`; members of its enums are strings and welcome here.

        A function with a parameter ``kit`` gets the kit there, each time it is called.
        """
        ...
