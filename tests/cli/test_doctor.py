"""``roomkit doctor``: what, how it is, what to do; 1 if anything has to be mended (T37)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from typer.testing import CliRunner, Result

from roomkit_core import SQLiteStore
from roomkit_core.cli import surroundings
from roomkit_core.cli.app import app
from roomkit_core.cli.installed import installed_plugins
from tests.registry.conftest import make_site as make_site
from tests.registry.conftest import site as site
from tests.registry.plugins import Site
from tests.support.logs import logging_as_before as logging_as_before

Doctor = Callable[..., Result]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doctor]:
    """Runs the command in an empty directory; another exit code than the expected fails the test."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setattr(surroundings, "MOUNTS", tmp_path / "mounts")
    installed_plugins.cache_clear()

    def run(*arguments: str, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(app, ["doctor", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit_code, result.output
        return result

    yield run
    installed_plugins.cache_clear()


def found(result: Result, subject: str) -> list[dict[str, Any]]:
    """What is told about one subject."""
    return [finding for finding in json.loads(result.stdout)["findings"] if finding["subject"] == subject]


def test_where_nothing_is_wrong_it_ends_with_0(doctor: Doctor) -> None:
    assert "Nothing is wrong." in doctor().stdout

    told = json.loads(doctor("--json").stdout)
    assert told["ok"]
    subjects = {finding["subject"] for finding in told["findings"]}
    assert {"python", "sqlite", "plugin builtin", "plugin websocket", "plugin server", "store"} <= subjects


def test_t37_every_broken_target_of_a_plugin_is_told_with_what_to_do(doctor: Doctor, site: Site) -> None:
    source = """
        @hookimpl
        def roomkit_components():
            yield Component("channel", "gone", "nowhere_at_all:Gone")
            yield Component("channel", "wrong", "textwrap:dedent")
            yield Component("gadget", "fine", "textwrap:dedent", config="nowhere_at_all:Config")

        @hookimpl
        def roomkit_commands():
            yield Command("beep", "nowhere_at_all:beep")
    """
    site.plugin("pager", source)

    told = found(doctor("--json", exit_code=1), "plugin pager")

    assert [finding["status"] for finding in told] == ["wrong"] * 4
    messages = " / ".join(finding["message"] for finding in told)
    assert "channel 'gone' cannot be imported from nowhere_at_all:Gone: ModuleNotFoundError" in messages
    assert "expected a subclass of roomkit_core.interfaces.channel:Channel" in messages
    assert "the configuration model of its gadget 'fine' cannot be imported" in messages
    assert "command 'beep' cannot be imported" in messages
    assert {finding["hint"] for finding in told} == {
        "Install what it needs; the plugin's README says what.",
        "This is for the author of the plugin to mend.",
    }


def test_t37_a_plugin_that_does_not_load_is_told_and_the_others_are_looked_at(doctor: Doctor, site: Site) -> None:
    site.plugin("pager", "import not_installed_anywhere")

    result = doctor("--json", exit_code=1)

    (told,) = found(result, "plugin pager")
    assert (told["status"], told["message"]) == ("wrong", "IMPORT_ERROR from roomkit-pager 1.0")
    assert "install what is missing" in told["hint"]
    assert found(result, "plugin websocket")[0]["status"] == "fine"


def test_a_list_that_names_a_plugin_which_is_not_installed_is_noted(doctor: Doctor) -> None:
    Path("roomkit.toml").write_text('[roomkit.plugins]\ndeny = ["websokcet"]\n', encoding="utf-8")

    file, told = found(doctor("--json"), "configuration")

    assert (file["status"], told["status"]) == ("fine", "note")
    assert "'websokcet'" in told["message"]
    assert told["hint"] == "Did you mean 'websocket'?"


def test_a_denied_plugin_is_as_it_should_be(doctor: Doctor) -> None:
    Path("roomkit.toml").write_text('[roomkit.plugins]\ndeny = ["websocket"]\n', encoding="utf-8")

    (told,) = found(doctor("--json"), "plugin websocket")

    assert (told["status"], told["message"][:8]) == ("note", "DISABLED")


@pytest.mark.parametrize("text", ["this is not TOML", '[roomkit.plugins]\ndeny = "websocket"\n'])
def test_lists_that_cannot_be_read_are_wrong_and_nothing_is_imported(text: str, doctor: Doctor, site: Site) -> None:
    site.plugin("pager", "raise AssertionError('imported')")
    Path("roomkit.toml").write_text(text, encoding="utf-8")

    result = doctor("--json", exit_code=1)

    assert [finding["status"] for finding in found(result, "configuration")] == ["wrong"]
    assert found(result, "plugin pager") == []


CONFIGURATION = """
[roomkit]
stroe = "main"

[stores.main]
use = "sqlight"

[stores.other]
use = "sqlite"
synchronous = "sometimes"
"""


def test_every_problem_of_the_configuration_is_told_with_line_and_fix(doctor: Doctor) -> None:
    Path("roomkit.toml").write_text(CONFIGURATION, encoding="utf-8")

    told = found(doctor("--json", exit_code=1), "configuration")

    assert {finding["status"] for finding in told} == {"wrong"}
    lines = {finding["message"].partition(": ")[0] for finding in told}
    assert lines == {"roomkit.toml:3", "roomkit.toml:6", "roomkit.toml:10"}
    assert all(finding["hint"] for finding in told)


def test_a_section_that_stands_there_twice_is_the_fault_of_the_file_and_of_no_plugin(doctor: Doctor) -> None:
    twice = '[channels.bot]\nuse = "bot"\n[channels.web]\nuse = "websocket"\n'
    Path("roomkit.toml").write_text(twice * 2, encoding="utf-8")

    result = doctor("--json", exit_code=1)

    told = [finding["message"] for finding in found(result, "configuration")]
    assert [message.partition(": this")[0] for message in told] == [
        "roomkit.toml:5: channels.bot",
        "roomkit.toml:7: channels.web",
    ]
    assert {finding["status"] for finding in found(result, "plugin builtin") + found(result, "plugin websocket")} == {
        "fine"
    }


def test_the_store_of_the_configuration_is_looked_at(doctor: Doctor, tmp_path: Path) -> None:
    Path("roomkit.toml").write_text('[stores.main]\nuse = "sqlite"\npath = "data/room.db"\n', encoding="utf-8")

    (told,) = found(doctor("--json", exit_code=1), "store")

    assert told["message"].endswith("data")
    assert "there is no folder" in told["message"]


# ------------------------------------------------------------------------------------------------ the store


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("ext4", "fine", ""),
        ("tmpfs", "note", "Keep what counts on a disk."),
        ("nfs4", "wrong", "move the store to one"),
    ],
)
def test_the_file_system_of_the_store_is_told(
    kind: str, status: str, words: str, doctor: Doctor, tmp_path: Path
) -> None:
    mounts = f"/dev/sda / btrfs rw 0 0\nhost:/x {tmp_path} {kind} rw 0 0\n/dev/sdb {tmp_path}/homestead xfs rw 0 0\n"
    (tmp_path / "mounts").write_text(mounts, encoding="utf-8")

    (told,) = found(doctor("--json", exit_code=status == "wrong"), "store")

    assert told["status"] == status
    assert f"is on {kind}" in told["message"]
    assert words in told["hint"]


def test_a_folder_that_is_not_there_is_wrong(doctor: Doctor) -> None:
    (told,) = found(doctor("--json", "--store", "data/room.db", exit_code=1), "store")

    assert "there is no folder" in told["message"]


def test_a_store_of_this_release_is_fine_and_another_file_is_not(doctor: Doctor) -> None:
    async def make() -> None:
        store = SQLiteStore("room.db")
        await store.open()
        await store.close()

    anyio.run(make)
    Path("other.db").write_text("no database at all, but long enough to look at" * 10, encoding="utf-8")

    assert [finding["status"] for finding in found(doctor("--json"), "store")] == ["fine", "fine"]
    assert [finding["status"] for finding in found(doctor("--json", "--store", "other.db", exit_code=1), "store")] == [
        "fine",
        "wrong",
    ]


# ------------------------------------------------------------------------------------------------ live

BOT = """
from roomkit_core import RoomKit{imports}
from tests.support.channels import ScriptedChannel

class Doctored(ScriptedChannel):
    async def ready(self):
        if self.channel_id == "raises":
            raise OSError("no route to host")
        return self.channel_id != "down"

    async def check(self):
        return "the token ends tomorrow" if self.channel_id == "token" else None

kit = RoomKit({store})
for name in {channels}:
    kit.register_channel(Doctored(name))
"""


def write_bot(name: str, *channels: str, store: bool = False) -> str:
    text = BOT.format(
        channels=channels, imports=", SQLiteStore" if store else "", store='SQLiteStore("room.db")' if store else ""
    )
    Path(f"{name}.py").write_text(text, encoding="utf-8")
    return f"{name}:kit"


def test_live_starts_the_kit_and_asks_each_channel(doctor: Doctor) -> None:
    kit = write_bot("bot_of_doctor", "up", "down", "raises", "token")

    result = doctor("--json", "--live", "--kit", kit, exit_code=1)

    told = {
        name: {(one["status"], one["message"]) for one in found(result, f"channel {name}")}
        for name in ("up", "down", "raises", "token")
    }
    assert told == {
        "up": {("fine", "ready"), ("fine", "checked itself")},
        "down": {("wrong", "not ready"), ("fine", "checked itself")},
        "raises": {("wrong", "ready() failed: OSError: no route to host"), ("fine", "checked itself")},
        "token": {("fine", "ready"), ("wrong", "the token ends tomorrow")},
    }


@pytest.mark.usefixtures("logging_as_before")
def test_live_starts_the_kit_of_the_configuration(doctor: Doctor) -> None:
    Path("roomkit.toml").write_text('[stores.main]\nuse = "sqlite"\n[logging]\nfile = "kit.log"\n', encoding="utf-8")

    result = doctor("--json", "--live")

    assert [(one["status"], one["message"]) for one in found(result, "kit")] == [("fine", "it starts")]
    assert Path("room.db").exists()
    assert Path("kit.log").exists()


def test_live_beside_a_running_server_says_that_it_did_not_start(doctor: Doctor) -> None:
    kit = write_bot("bot_of_busy_doctor", store=True)

    async def beside() -> Result:
        owner = SQLiteStore("room.db")
        await owner.open()
        try:
            return await anyio.to_thread.run_sync(lambda: doctor("--json", "--live", "--kit", kit))
        finally:
            await owner.close()

    (told,) = found(anyio.run(beside), "kit")
    assert told["status"] == "note"
    assert "/readyz" in told["hint"]


@pytest.mark.parametrize(
    ("kit", "words"), [("nowhere_at_all:kit", "cannot be imported"), ("textwrap:dedent", "expected")]
)
def test_live_with_something_that_is_no_kit(kit: str, words: str, doctor: Doctor) -> None:
    (told,) = found(doctor("--json", "--live", "--kit", kit, exit_code=1), "kit")

    assert words in told["message"]
    assert "module:name" in told["hint"]


def test_live_without_a_kit_says_what_is_missing(doctor: Doctor) -> None:
    assert "--kit module:name" in doctor("--live", exit_code=2).stderr
