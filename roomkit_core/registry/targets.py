"""Importing a component when it is wanted, and holding it to the abstract class of its kind and to its settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from roomkit_core.plugin import Component, Kind
from roomkit_core.registry.imports import import_name

# By string, so that looking for plugins imports no interface. Any other kind may name any object.
BASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        Kind.CHANNEL: "roomkit_core.interfaces.channel:Channel",
        Kind.STORE: "roomkit_core.interfaces.store:ConversationStore",
        Kind.LOCK: "roomkit_core.interfaces.locks:RoomLockManager",
        Kind.ROUTER: "roomkit_core.interfaces.router:InboundRoomRouter",
        Kind.AUTH: "roomkit_core.interfaces.auth:Authenticator",
        Kind.IDENTITY: "roomkit_core.interfaces.identity:IdentityResolver",
        Kind.SECRET: "roomkit_core.interfaces.secrets:SecretStore",
    }
)

LEADING: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({Kind.CHANNEL: ("id",), Kind.ROUTER: ("store",)})
"""What a configuration gives to a component of a kind before the fields of its settings."""


def check_fields(component: Component, target: Any, model: Any) -> None:
    """Hold a component to its settings: a configuration calls it with every field of their model, by keyword.

    Raises:
        TypeError: It does not take one of them, or needs more.
    """
    fields = getattr(model, "model_fields", None)
    if fields is None:
        return
    try:
        signature = inspect.signature(target)
    except ValueError:  # some that are written in C do not tell
        return
    signature.bind(*LEADING.get(component.kind, ()), **dict.fromkeys(fields))


def import_target(component: Component) -> Any:
    """The object that the component names. Any, because a kind that the core does not know may be anything.

    Raises:
        TypeError: It is not a subclass of the abstract class of its kind.
        BaseException: Whatever its module raises.
    """
    found = import_name(component.target)
    base = BASES.get(component.kind)
    if base is not None:
        expected = import_name(base)
        if not (isinstance(found, type) and isinstance(expected, type) and issubclass(found, expected)):
            raise TypeError(f"{component.target} is {found!r}, expected a subclass of {base}")
    return found
