"""A part of a server's address space that a plugin serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from roomkit_core.plugin.names import check_path, check_target

RouteAuth = Literal["server", "route", "none"]
"""Who asks a client who it is: the server before the route is called, the route itself, or nobody."""


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """An ASGI application and the path below which a server calls it, for HTTP and WebSocket alike.

    Args:
        path: Where it is mounted, such as ``"/ws"``: this path and all below. No two plugins of a kit have the same.
        target: What makes the application: ``"package.module:name"``, imported when a server is built, or the function
            itself. It is called with the kit, once for each server, before the kit is started, and returns an ASGI
            application, or None if this kit has nothing to serve there. The application finds its path in
            ``scope["root_path"]``, as ASGI says of mounted ones.
        auth: Who asks clients who they are. ``"server"``: the server, by its own configuration, and nobody gets to the
            route who was rejected. ``"route"``: the application; its attribute ``authenticated`` says whether it does,
            and without it the server listens on loopback only. ``"none"``: everybody may come, such as to a page.
        summary: One line for people.

    Raises:
        ValueError: A path or a target does not have its form, or ``auth`` is none of the three.
        TypeError: ``target`` is neither a string nor callable.
    """

    path: str
    target: str | Callable[[Any], Any]  # from a KitProtocol to an ASGI application, a type that the core does not know
    auth: RouteAuth = "server"
    summary: str = ""

    def __post_init__(self) -> None:
        check_path(self.path, "route path")
        if isinstance(self.target, str):
            check_target(self.target, "route target")
        elif not callable(self.target):
            raise TypeError(f"{self.target!r} is not a route target: expected 'package.module:name' or a function")
        if self.auth not in get_args(RouteAuth):
            raise ValueError(
                f"{self.auth!r} is not who authenticates: expected one of {', '.join(get_args(RouteAuth))}"
            )
