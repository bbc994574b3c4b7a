"""Canaries: a secret that came in by any way is in nothing that is printed, logged, stored, reported or raised."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roomkit_core import ConfigError, RoomKit
from roomkit_core.cli.app import app
from roomkit_core.cli.installed import installed_plugins
from tests.config import pager
from tests.registry.plugins import Site
from tests.support.configs import write_config

CANARIES = (
    "canary-literal",
    "canary-in-env",
    "canary-in-file",
    "canary-of-the-vault",
    "canary-key",
    "canary-direct",
    "canary-nested",
    "canary-region",
)

RIGHT = """
[stores.main]
use = "sqlite"
path = "rooms.db"
[secrets.safe]
use = "vault"
key = "canary-key"
[auth.door]
use = "gate"
password = "canary-key"
guests = { ann = { word = "canary-nested" } }
[channels.a]
use = "pager"
number = "1"
provider = { use = "beeper", token = "canary-literal" }
[channels.b]
use = "pager"
number = "2"
provider = { use = "beeper", token = { env = "TOKEN" } }
[channels.c]
use = "pager"
number = "3"
provider = { use = "beeper", token = { file = "token.txt" } }
[channels.d]
use = "pager"
number = "4"
provider = { use = "beeper", token = { safe = "canary" } }
[channels.e]
use = "pager"
number = "5"
provider = { use = "beeper" }
"""

WRONG = (
    # values where they do not fit, so that pydantic has something to say about them
    *(RIGHT.replace(f'number = "{number}"', f'number = "{number}"\ncolour = 1') for number in range(1, 6)),
    RIGHT.replace("token = ", "pace = "),
    RIGHT.replace("provider = { use", "provider = { account = 1, use"),
    RIGHT.replace('provider = { use = "beeper"', 'provider = { use = "beeper", account = "closed"'),
    RIGHT.replace('number = "1"', 'number = { env = "TOKEN" }\nregion = { file = "token.txt", x = 1 }'),
    RIGHT.replace('key = "canary-key"', 'key = ["canary-key"]'),
    RIGHT.replace('key = "canary-key"', 'keys = "canary-key"'),
    RIGHT.replace('{ safe = "canary" }', '{ safe = "missing" }'),
    RIGHT.replace('"canary-nested"', '"canary-nested-and-far-too-long-for-a-word"'),
    RIGHT.replace('"canary-nested"', '["canary-nested"]'),
    RIGHT.replace("{ word =", "{ wort ="),
    RIGHT.replace('provider = { use = "beeper"', 'provider = { use = "beeper", account = "loud"'),
    RIGHT.replace('number = "1"', 'number = "0"\nregion = { file = "region.txt" }'),
    RIGHT + "[channels.a]\nuse = 'pager'\n",
    RIGHT.replace('use = "vault"', 'use = "valt"'),
    RIGHT + "this is not TOML",
)

ENVIRON = {"TOKEN": "canary-in-env", "ROOMKIT_CHANNELS__E__PROVIDER__TOKEN": "canary-direct"}


@pytest.fixture
def folder(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with secrets around it in every way, as a process would find it."""
    pager.install(site)
    for name, text in {"token.txt": "canary-in-file\n", "region.txt": "canary-region"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    installed_plugins.cache_clear()
    yield tmp_path
    installed_plugins.cache_clear()


def told(*texts: str) -> list[str]:
    """The canaries that are in these texts."""
    return [canary for canary in CANARIES for text in texts if canary in text]


def every_text_of(error: BaseException) -> Iterator[str]:
    """All that a program could print of an error and of what stands behind it."""
    yield from traceback.format_exception(error)
    behind: BaseException | None = error
    while behind is not None:
        yield from (str(behind), repr(behind), repr(behind.args), repr(getattr(behind, "problems", "")))
        behind = behind.__cause__ or behind.__context__


def outputs(folder: Path) -> Iterator[str]:
    """What the commands print about the configuration."""
    file = str(folder / "roomkit.toml")
    for arguments in (
        ("config", "check", file),
        ("config", "check", file, "--json"),
        ("config", "schema", file),
        ("plugins", "--json"),
        ("doctor", "--config", file),
        ("doctor", "--config", file, "--json"),
    ):
        done = CliRunner().invoke(app, [*arguments], env={"COLUMNS": "300", "ROOMKIT_CONFIG": file})
        yield done.output
        yield done.stderr
        if done.exception is not None:
            yield from every_text_of(done.exception)


def stored_in(folder: Path) -> str:
    """All that a store has written, as text."""
    return b"".join(path.read_bytes() for path in folder.glob("rooms.db*")).decode("latin-1")


async def test_a_kit_that_runs_tells_no_secret(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    file = write_config(folder, RIGHT)

    async with RoomKit.from_config(file) as kit:
        tokens = {kit.get_channel(name).provider.token.get_secret_value() for name in "abcde"}  # type: ignore[union-attr]
        assert tokens == set(CANARIES) - {"canary-key", "canary-nested", "canary-region"}, "all of them came in"
        await kit.create_room("r")
        await kit.attach_channel("r", "a")
        texts = [str(kit.plugins.report()), str(vars(kit.get_channel("a"))), str(kit.health())]
        texts += [str(vars(kit.get_channel(name).provider)) for name in "abcde"]  # type: ignore[union-attr]

    assert not told(*texts, caplog.text, stored_in(folder))


@pytest.mark.parametrize("text", [RIGHT, *WRONG])
def test_no_command_prints_a_secret(folder: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    caplog.set_level(logging.DEBUG)
    write_config(folder, text)

    printed = list(outputs(folder))

    assert any(printed)
    assert not told(*printed, caplog.text)


@pytest.mark.parametrize("text", WRONG)
def test_no_error_holds_a_secret(folder: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    caplog.set_level(logging.DEBUG)
    file = write_config(folder, text)

    with pytest.raises(ConfigError) as caught:
        RoomKit.from_config(file)

    assert not told(*every_text_of(caught.value), caplog.text)
