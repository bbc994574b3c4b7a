"""How a channel is announced and configured, what it shows of its secrets, and its life."""

from __future__ import annotations

import re

import pytest
from pydantic import SecretStr, ValidationError

from roomkit_core import Channel, RoomKit, Settings
from roomkit_core.registry import PluginRegistry
from roomkit_testkit.channels.contract import ChannelContract
from roomkit_testkit.channels.provider import HTTPProvider

SECRETIVE = re.compile(r"token|secret|password|credential|api_?key")


class AnnouncingSuite(ChannelContract):
    """What a kit and an operator meet first."""

    def test_the_plugin_works_as_far_as_it_can_be_imported(self) -> None:
        registry = PluginRegistry([])
        report = registry.load(self.plugin)

        assert (report.state, report.hint) == ("LOADED", "")
        assert registry.examine() == ()
        assert registry.find("channel", self.use).component.summary, "one line for people is missing"

    def test_each_setting_is_described_and_what_sounds_secret_is_secret(self, provider: HTTPProvider) -> None:
        settings = self.settings(provider.url)
        if settings is None:
            return
        assert isinstance(settings, Settings)
        assert type(settings).__doc__ not in (None, Settings.__doc__), "editors show the docstring of the settings"
        for name, field in type(settings).model_fields.items():
            assert field.description, f"{name} has no description"
            if SECRETIVE.search(name) and getattr(settings, name) is not None:
                assert isinstance(getattr(settings, name), SecretStr), f"{name} is shown to whoever looks"
        assert type(settings).model_json_schema()["additionalProperties"] is False

    def test_a_key_that_does_not_exist_is_refused(self, provider: HTTPProvider) -> None:
        _, model = self.component()
        if model is not None:
            with pytest.raises(ValidationError):
                model.model_validate({**self.section(provider.url), "no_such_key": 1})

    async def test_what_is_shown_of_a_channel_has_no_secret(self, kit: RoomKit, channel: Channel) -> None:
        shown = [repr(channel), str(channel), repr(channel.info), repr(self.settings("http://127.0.0.1:1"))]
        shown += [repr(value) for value in vars(channel).values()]

        for secret in self.secrets("http://127.0.0.1:1"):
            assert not [text for text in shown if secret in text]

    async def test_it_closes_without_having_started_and_twice(self, provider: HTTPProvider) -> None:
        channel = self.make(provider.url)
        await channel.close()
        kit = RoomKit()
        kit.register_channel(channel)
        async with kit:
            pass
        await channel.close()

    async def test_it_starts_again_after_it_was_closed(self, provider: HTTPProvider) -> None:
        channel = self.make(provider.url)
        for _ in range(2):
            kit = RoomKit()
            kit.register_channel(channel)
            async with kit:
                assert (await self.send(channel)).state == "sent"
