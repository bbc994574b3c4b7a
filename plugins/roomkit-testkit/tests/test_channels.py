"""The suite for channels: a good channel passes, and each mistake is caught by the tests meant for it (T38)."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from roomkit_testkit.channels import ChannelSuite

CHANNELS = '''
import httpx2
from pydantic import Field, SecretStr

from roomkit_core import (
    Channel, ChannelCapabilities, ChannelMediaType, ChannelType, Receipt, Rendering, Settings, TextContent
)


class NotesSettings(Settings):
    """`use = "notes"`."""

    token: SecretStr = Field(description="The token.")
    url: str = Field(description="The provider.")


class BareSettings(Settings):
    """`use = "bare"`."""

    token: str
    url: str = Field(description="The provider.")


class Notes(Channel):
    channel_type = ChannelType("notes")
    guarantee = "idempotent"

    def __init__(self, channel_id, *, token, url):
        super().__init__(channel_id)
        self._token, self._url, self._client = token, url, None

    def capabilities(self):
        return ChannelCapabilities(max_length=100)

    async def start(self, kit):
        self._client = httpx2.AsyncClient(base_url=self._url, timeout=60)

    async def close(self):
        if self._client is not None:
            await self._client.aclose()

    async def send(self, delivery):
        try:
            return self.receipt_of(await self.call(delivery))
        except httpx2.ConnectError as error:
            return Receipt.failed("notes.unreachable", str(error), retryable=True)
        except httpx2.RequestError as error:
            return Receipt.unknown("notes.lost", type(error).__name__)

    async def call(self, delivery):
        note = {"to": delivery.route.address, "text": delivery.part.body, "key": delivery.part_key}
        return await self._client.post("/notes", json=note)

    def receipt_of(self, answer):
        if answer.status_code == 429 or answer.status_code == 401:
            return Receipt.failed("notes.later", "not now", retryable=True)
        if 400 <= answer.status_code < 500:
            return Receipt.failed("notes.refused", "never")
        try:
            return Receipt.sent(answer.json()["id"]) if answer.status_code == 200 else self.nobody_knows()
        except (ValueError, TypeError, KeyError):
            return self.nobody_knows()

    def nobody_knows(self):
        return Receipt.unknown("notes.nonsense", "nobody knows")


class Fragile(Notes):
    def receipt_of(self, answer):
        return Receipt.sent(answer.json()["id"])


class Optimist(Notes):
    def nobody_knows(self):
        return Receipt.sent("something")


class Pessimist(Notes):
    def nobody_knows(self):
        return Receipt.failed("notes.failed", "I do not know")


class Hasty(Notes):
    async def send(self, delivery):
        receipt = await super().send(delivery)
        return Receipt.failed("notes.lost", "lost", retryable=True) if receipt.state == "unknown" else receipt


class Impatient(Notes):
    def receipt_of(self, answer):
        return Receipt.failed("notes.refused", "no") if answer.status_code == 429 else super().receipt_of(answer)


class Immortal(Notes):
    async def send(self, delivery):
        try:
            return await super().send(delivery)
        except BaseException:
            return self.nobody_knows()


class Talker(Notes):
    def __init__(self, channel_id, *, token, url):
        super().__init__(channel_id, token=token, url=url)
        self.headers = {"authorization": token.get_secret_value()}

    def nobody_knows(self):
        return Receipt.unknown("notes.nonsense", f"nobody knows {self.headers}")


class Boaster(Notes):
    def capabilities(self):
        return ChannelCapabilities(max_length=100, media_types=[ChannelMediaType.TEXT, ChannelMediaType.MEDIA])


class Cutter(Notes):
    def render(self, content):
        rendering = super().render(TextContent(body=content.body[:100])) if hasattr(content, "body") else None
        return rendering or super().render(content)


class Keyless(Notes):
    async def call(self, delivery):
        note = {"to": delivery.route.address, "text": delivery.part.body}
        return await self._client.post("/notes", json=note)


class Mayfly(Notes):
    async def close(self):
        await self._client.aclose()
        self._client = None


class Nameless(Notes):
    def receipt_of(self, answer):
        receipt = super().receipt_of(answer)
        return Receipt.sent() if receipt.state == "sent" else receipt
'''

TESTS = """
from types import SimpleNamespace

import notes
import pytest

from roomkit_core.plugin import Component, Kind, PluginInfo, hookimpl
from roomkit_testkit.channels import Answer, ChannelSuite


@pytest.fixture
def anyio_backend():
    return "asyncio"


def announced(name, config="NotesSettings"):
    def roomkit_components():
        yield Component(Kind.CHANNEL, "notes", f"notes:{name}", config=f"notes:{config}", summary="Notes")

    return SimpleNamespace(PLUGIN=PluginInfo("notes", api="1.0"), roomkit_components=hookimpl(roomkit_components))


class Suite(ChannelSuite):
    use = "notes"
    accepted = Answer(200, {"id": "n1"})
    refused = Answer(404, {"error": "no such person"})
    busy = Answer(401, {"error": "what is your name?"})

    def section(self, url):
        return {"token": "canary-9f3b", "url": url}


kinds = [name for name, kind in vars(notes).items() if isinstance(kind, type) and issubclass(kind, notes.Notes)]
for name in kinds:
    globals()[f"Test{name}"] = type(f"Test{name}", (Suite,), {"plugin": announced(name)})
TestBare = type("TestBare", (Suite,), {"plugin": announced("Notes", "BareSettings")})
"""

NONSENSE = "an_answer_without_sense_is_a_receipt_and_no_raise"
TAKEN = "what_may_have_been_taken_is_neither_sent_nor_failed_for_good"
LATER = "too_many_requests_means_later"
CARRIED = "what_it_can_carry_is_sent_and_nothing_else_is_dropped_in_silence"
CAUGHT: dict[str, set[str]] = {
    "Notes": set(),
    "Bare": {"each_setting_is_described_and_what_sounds_secret_is_secret"},
    "Boaster": {CARRIED},
    "Cutter": {CARRIED, "the_longest_text_arrives_whole_and_a_longer_one_is_split_or_refused"},
    "Fragile": {NONSENSE, TAKEN, LATER, "what_it_refuses_for_good_is_failed_and_what_it_refuses_now_is_tried_again"},
    "Hasty": {TAKEN},
    "Immortal": {"a_cancelled_send_ends_at_once_and_the_next_one_goes_through"},
    "Impatient": {LATER},
    "Keyless": {"a_provider_that_remembers_keys_is_given_the_same_one_each_time"},
    "Mayfly": {"it_closes_without_having_started_and_twice"},
    "Nameless": {"what_the_provider_takes_is_sent_to_the_address_with_its_id"},
    "Optimist": {NONSENSE, TAKEN},
    "Pessimist": {NONSENSE, TAKEN},
    "Talker": {NONSENSE, TAKEN, "what_is_shown_of_a_channel_has_no_secret"},
}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The tests that failed, by the name of the channel."""
    folder = tmp_path_factory.mktemp("channels")
    (folder / "notes.py").write_text(CHANNELS, encoding="utf-8")
    (folder / "test_notes.py").write_text(TESTS, encoding="utf-8")
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\nanyio_mode = 'auto'\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfEp", "--tb=no", "-p", "no:randomly", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert " passed" in done.stdout, done.stdout + done.stderr
    found: dict[str, set[str]] = {name: set() for name in re.findall(r"::Test(\w+)::", done.stdout)}
    for name, test in re.findall(r"^(?:FAILED|ERROR) test_notes.py::Test(\w+)::test_(\w+)", done.stdout, re.MULTILINE):
        found[name].add(test)
    return found


@pytest.mark.timeout(300)
def test_t38_each_mistake_is_caught_by_the_tests_meant_for_it_and_by_no_other(
    failed: dict[str, set[str]],
) -> None:
    assert failed == CAUGHT


def test_a_channel_may_add_tests_and_may_not_replace_one() -> None:
    inherited = next(name for name in dir(ChannelSuite) if name.startswith("test_"))
    with pytest.raises(TypeError, match=f"Cheating replaces {inherited}"):
        type("Cheating", (ChannelSuite,), {inherited: lambda self: None})
