"""Channels of the simpler kind, and what the core asks of a channel: capabilities and methods, never a class."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core import (
    Channel,
    ChannelAlreadyRegisteredError,
    ChannelBinding,
    ChannelNotRegisteredError,
    ChannelOutput,
    ChannelType,
    DeliveryState,
    ProviderResult,
    RoomContext,
    RoomEvent,
    RoomKit,
)
from tests.support.channels import LiveProbe, ScriptedChannel, message

pytestmark = pytest.mark.anyio


class Letterbox(Channel):
    """A channel in the style of the seed: it implements ``deliver`` and reports what its provider said."""

    channel_type = ChannelType("letterbox")

    def __init__(self, result: ProviderResult | None) -> None:
        super().__init__("letterbox")
        self.result = result

    async def deliver(self, event: RoomEvent, binding: ChannelBinding, context: RoomContext) -> ChannelOutput:
        return ChannelOutput(provider_result=self.result)


class Switchboard(Channel):
    """A live channel of somebody else's that takes connections."""

    channel_type = ChannelType("switchboard")
    live = True

    def __init__(self) -> None:
        super().__init__("switchboard")
        self.connections: dict[str, Any] = {}

    def register_connection(
        self, connection_id: str, send_fn: Any, *, stream_send_fn: Any, room_id: str | None
    ) -> None:
        self.connections[connection_id] = send_fn

    def unregister_connection(self, connection_id: str) -> None:
        self.connections.pop(connection_id, None)


async def deliver_through(channel: Channel) -> Any:
    kit = RoomKit()
    kit.register_channel(LiveProbe())
    kit.register_channel(channel)
    async with kit:
        await kit.create_room("r")
        await kit.attach_channel("r", "live")
        await kit.attach_channel("r", channel.channel_id)
        result = await kit.process_inbound(message(), room_id="r")
    return result.delivery_results[channel.channel_id]


async def test_t14_a_provider_that_says_no_is_a_failure_with_its_reason() -> None:
    delivery = await deliver_through(Letterbox(ProviderResult(success=False, error="slot is full")))
    assert (delivery.state, delivery.success) == (DeliveryState.FAILED, False)
    assert (delivery.error.code, delivery.error.message) == ("provider.refused", "slot is full")


async def test_a_provider_that_says_yes_is_remembered_with_its_id() -> None:
    delivery = await deliver_through(Letterbox(ProviderResult(success=True, provider_message_id="L-1")))
    assert (delivery.state, delivery.provider_message_id) == (DeliveryState.SENT, "L-1")


async def test_t14_a_channel_that_implements_nothing_fails_and_does_not_succeed_in_silence() -> None:
    class Mute(Channel):
        channel_type = ChannelType("mute_channel")

    delivery = await deliver_through(Mute("mute"))
    assert (delivery.state, delivery.error.code) == (DeliveryState.FAILED, "channel.cannot_send")


async def test_t35_any_channel_with_connections_takes_them_whatever_its_class() -> None:
    kit = RoomKit()
    board = Switchboard()
    kit.register_channel(board)

    async def send(connection_id: str, event: RoomEvent) -> None: ...

    await kit.connect_websocket("switchboard", "c1", send)
    assert board.connections == {"c1": send}
    await kit.disconnect_websocket("switchboard", "c1")
    await kit.disconnect_websocket("nobody", "c1")
    assert board.connections == {}


async def test_a_channel_without_connections_refuses_them() -> None:
    kit = RoomKit()
    kit.register_channel(LiveProbe())
    with pytest.raises(ChannelNotRegisteredError):
        await kit.connect_websocket("live", "c1", None)


async def test_two_channels_cannot_have_one_id() -> None:
    kit = RoomKit()
    kit.register_channel(LiveProbe())
    with pytest.raises(ChannelAlreadyRegisteredError):
        kit.register_channel(LiveProbe())
    assert kit.unregister_channel("live") is not None
    assert kit.unregister_channel("live") is None
    assert kit.list_channels() == []


async def test_when_a_provider_asks_for_time_the_result_says_how_much() -> None:
    delivery = await deliver_through(ScriptedChannel("later", behave="later"))
    assert (delivery.state, delivery.status, delivery.retry_after) == (DeliveryState.PENDING, "queued", 30)
    assert (delivery.error.code, delivery.error.retryable) == ("provider.busy", True)
