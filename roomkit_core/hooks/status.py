"""Hooks that are told what a provider reports about a message that it took."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from roomkit_core.hooks.registration import HookRegistration
from roomkit_core.models.enums import HookExecution
from roomkit_core.models.triggers import HookTrigger

if TYPE_CHECKING:
    from roomkit_core.models.context import RoomContext
    from roomkit_core.models.delivery import DeliveryStatus


def status_hook(fn: Callable[..., Any]) -> HookRegistration:
    """A hook that calls ``fn`` with the status alone."""

    @wraps(fn)
    async def call(status: DeliveryStatus, _: RoomContext) -> None:
        result = fn(status)
        if isawaitable(result):
            await result

    name = getattr(fn, "__name__", type(fn).__name__)
    return HookRegistration(HookTrigger.ON_DELIVERY_STATUS, HookExecution.ASYNC, call, name=name)
