"""What a channel's author says about the provider, and the fixtures that follow from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, SecretStr

from roomkit_core import (
    BotChannel,
    Channel,
    ChannelBinding,
    ChannelType,
    Delivery,
    EventSource,
    InboundMessage,
    Receipt,
    Room,
    RoomContext,
    RoomEvent,
    RoomKit,
    Route,
    TextContent,
)
from roomkit_core.models.ids import new_id
from roomkit_core.registry import PluginRegistry
from roomkit_core.registry.imports import import_name
from roomkit_testkit.channels.provider import Answer, HTTPProvider

ID = "channel"
ROOM = "room"


class ChannelContract:
    """Base of the suites for channels.

    Attributes:
        plugin: The module with the ``PLUGIN`` that announces the channel.
        use: The name of the component.
        address: Somebody at the provider.
        accepted: What the provider answers if it takes a message.
        refused: What it answers if it never will; None where there is no such answer.
        busy: What it answers if it does not now, beside HTTP 429; None where there is no such answer.

    Raises:
        TypeError: A class replaces a test of the suite that it inherits: then it would say nothing about the channel.
    """

    plugin: ClassVar[Any]
    use: ClassVar[str]
    address: ClassVar[str] = "someone"
    accepted: ClassVar[Answer]
    refused: ClassVar[Answer | None] = None
    busy: ClassVar[Answer | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in vars(cls):
            if name.startswith("test_") and any(name in vars(base) for base in cls.__mro__[1:]):
                raise TypeError(f"{cls.__name__} replaces {name}, which every channel has to pass; add tests beside it")

    def section(self, url: str) -> dict[str, Any]:
        """The section of a configuration with which the channel talks to a provider at ``url``."""
        raise NotImplementedError("the test class of a channel says how it is configured")

    def inbound(self) -> InboundMessage:
        """A message as the channel brings it in; what its webhook or its source makes of a provider's."""
        return InboundMessage(
            channel_id=ID,
            sender_id=self.address,
            content=TextContent(body="hello"),
            provider_message_id=new_id(),
        )

    # ------------------------------------------------------------------------------------------------ made of it

    def component(self) -> tuple[type[Channel], type[BaseModel] | None]:
        """The class of the channel and the model of its settings, as a kit finds them."""
        registry = PluginRegistry([])
        registry.load(self.plugin)
        entry = registry.find("channel", self.use)
        config = entry.component.config
        model: Any = None if config is None else import_name(config)
        return registry.resolve("channel", self.use), model

    def settings(self, url: str) -> BaseModel | None:
        """The settings that the section makes."""
        _, model = self.component()
        return None if model is None else model.model_validate(self.section(url))

    def make(self, url: str) -> Channel:
        """A channel that talks to a provider at ``url``, made as a configuration makes it."""
        kind, _ = self.component()
        settings = self.settings(url)
        fields = {} if settings is None else {name: getattr(settings, name) for name in type(settings).model_fields}
        return kind(ID, **fields)

    def secrets(self, url: str) -> list[str]:
        """The secrets of the section."""
        settings = self.settings(url)
        values = [] if settings is None else [getattr(settings, name) for name in type(settings).model_fields]
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]

    @pytest.fixture
    def provider(self) -> Iterator[HTTPProvider]:
        """The provider; it takes everything unless a test says otherwise."""
        provider = HTTPProvider(self.accepted)
        yield provider
        provider.close()

    @pytest.fixture
    def channel(self, provider: HTTPProvider) -> Channel:
        """The channel, not started."""
        return self.make(provider.url)

    @pytest.fixture
    async def kit(self, channel: Channel) -> AsyncIterator[RoomKit]:
        """A kit in which the channel has started, with a bot and without a room."""
        kit = RoomKit()
        kit.register_channel(channel)
        kit.register_channel(BotChannel("bot"))
        async with kit:
            yield kit

    async def send(self, channel: Channel, content: Any = None, *, key: str = "key", part: int = 0) -> Receipt:
        """Bring one part of a delivery to the address, as the engine does."""
        return await channel.send(self.delivery(channel, content or TextContent(body="hello"), key=key, part=part))

    def delivery(self, channel: Channel, content: Any, *, key: str = "key", part: int = 0) -> Delivery:
        """A delivery of a content to the address."""
        route = Route(address=self.address, participant_id=self.address)
        parts = channel.render(content).parts
        source = EventSource(channel_id="bot", channel_type=ChannelType.BOT)
        binding = ChannelBinding(
            channel_id=channel.channel_id,
            room_id=ROOM,
            channel_type=channel.channel_type,
            capabilities=channel.capabilities(),
            routes={self.address: route},
        )
        return Delivery(
            id=key,
            key=key,
            part_keys=tuple(f"{key}:{number}" for number in range(len(parts))),
            attempt=1,
            maybe_sent=False,
            route=route,
            deadline=float("inf"),
            parts=parts,
            parts_done=part,
            event=RoomEvent(room_id=ROOM, source=source, content=content),
            binding=binding,
            context=RoomContext(Room(id=ROOM), [binding]),
        )
