"""Each command on a store that nobody has open: what it prints, for people and for programs, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from roomkit_core import SQLiteStore, __version__
from roomkit_core.builtin.sqlite.connection import connect
from tests.cli.conftest import Left, Run

Json = Callable[..., Any]

# --------------------------------------------------------------------------------------------------------------- why


def test_why_tells_the_story_of_a_delivery(roomkit: Run, left: Left) -> None:
    text = roomkit("why", left.failed).stdout

    assert "delivery on 'sms' to +1555: failed" in text
    assert "cause (delivery on 'sms' to +1555): The provider refused it for good: no such number." in text
    assert f"what to do: Correct that, then retry it: roomkit dead retry {left.failed}." in text


def test_why_as_json_has_cause_and_hint(as_json: Json, left: Left) -> None:
    story = as_json("why", "SM-later")

    assert story["found_as"] == "key"
    assert story["cause"].startswith("The provider did not take it for now: come back later")
    assert [row["id"] for row in story["work"] if row["channel_id"] == "sms"] == [left.waiting]
    assert as_json("why", "SM-send")["cause"] is None


def test_why_tells_that_no_server_is_at_work(roomkit: Run, as_json: Json, left: Left) -> None:
    for row in as_json("deliveries", "list", "--state", "pending"):
        roomkit("deliveries", "cancel", row["id"])
    (copy,) = as_json("dead", "retry", left.failed)

    story = as_json("why", copy["id"])

    assert story["cause"] == "It is due and nobody has taken it. [waits.unclaimed]"
    assert story["hint"] == "Is the server running, and is this channel registered with it?"


def test_why_of_an_unknown_id_ends_with_1(roomkit: Run) -> None:
    result = roomkit("why", "nothing", exit_code=1)
    assert "error: nothing is known by the id 'nothing' [work.not_found]" in result.stderr
    assert "what to do: Check the id" in result.stderr

    error = json.loads(roomkit("why", "nothing", "--json", exit_code=1).stderr)["error"]
    assert (error["code"], bool(error["hint"])) == ("work.not_found", True)


# ------------------------------------------------------------------------------------------------- rooms and timelines


def test_rooms_are_listed(roomkit: Run, as_json: Json) -> None:
    assert "room" in roomkit("rooms").stdout
    assert [room["id"] for room in as_json("rooms")] == ["room"]
    assert as_json("rooms", "--status", "closed") == []


def test_a_timeline_is_shown_ascending_and_what_people_wrote_cannot_steer_the_terminal(roomkit: Run) -> None:
    text = roomkit("timeline", "room").stdout

    assert text.index("send") < text.index("fail") < text.index("later")
    assert "\\x1b[31mred\\x1b[0m [bold]not bold[/bold]" in text
    assert "\x1b[31m" not in text


def test_a_page_of_a_timeline(as_json: Json) -> None:
    newest = as_json("timeline", "room", "--limit", "2")
    first = as_json("timeline", "room", "--after", "-1", "--limit", "2")

    assert [event["index"] for event in first] == [0, 1]
    assert [event["index"] for event in newest] == [5, 6]


def test_the_timeline_of_an_unknown_room_ends_with_1(roomkit: Run) -> None:
    assert "room.not_found" in roomkit("timeline", "nowhere", exit_code=1).stderr


# ------------------------------------------------------------------------------------------------------ dead letters


def test_dead_letters_are_listed_retried_and_purged(roomkit: Run, as_json: Json, left: Left) -> None:
    assert left.failed in roomkit("dead", "list").stdout
    assert [row["id"] for row in as_json("dead", "list", "--channel", "sms")] == [left.failed]
    assert as_json("dead", "list", "--kind", "ask") == []

    (copy,) = as_json("dead", "retry", left.failed)
    (again,) = as_json("dead", "retry", left.failed)
    assert (copy["retry_of"], copy["state"], again["id"]) == (left.failed, "pending", copy["id"])
    assert "It was retried as" in roomkit("why", left.failed).stdout
    assert "It waits behind 2 rows of its lane" in roomkit("why", copy["id"]).stdout

    assert as_json("dead", "purge", "--older-than", "1h", "--yes") == {"purged": 0}
    assert "1 dead letters were forgotten" in roomkit("dead", "purge", "--yes").stdout
    assert "There are no dead letters" in roomkit("dead", "list").stdout


def test_all_dead_letters_are_retried_once(as_json: Json, roomkit: Run, left: Left) -> None:
    (copy,) = as_json("dead", "retry", "--all")

    assert copy["retry_of"] == left.failed
    assert "There was nothing to retry" in roomkit("dead", "retry", "--all").stdout
    assert as_json("dead", "retry", "--all", "--channel", "mail") == []


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("dead", "retry"), 2, "name the rows, or say --all"),
        (("dead", "retry", "x", "--all"), 2, "name the rows, or say --all"),
        (("dead", "retry", "x"), 1, "there is no row 'x'"),
        (("dead", "retry", "{sent}"), 2, "retry.ended_well"),
        (("dead", "retry", "{waiting}"), 2, "retry.not_final"),
        (("dead", "purge"), 2, "say --yes"),
        (("dead", "purge", "--yes", "--older-than", "soon"), 2, "'soon' is no time"),
        (("deliveries", "pause", "a channel"), 2, "channel id"),
        (("deliveries", "cancel", "x"), 1, "there is no row 'x'"),
        (("deliveries", "list", "--state", "lost"), 2, "lost"),
        (("timeline",), 2, "ROOM"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    roomkit: Run, left: Left, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    named = [argument.format(**left._asdict()) for argument in arguments]
    assert said in roomkit(*named, exit_code=exit_code).stderr


# -------------------------------------------------------------------------------------------------------- owed work


def test_owed_work_is_listed_and_cancelled(roomkit: Run, as_json: Json, left: Left) -> None:
    assert as_json("deliveries", "list", "--state", "pending", "--limit", "1")[0]["id"] == left.waiting
    assert len(as_json("deliveries", "list", "--kind", "ask", "--kind", "delivery", "--limit", "50")) == 8
    text = roomkit("deliveries", "list", "--channel", "sms").stdout
    assert "+1555" in text
    assert all(name in text for name in (left.sent, left.failed, left.waiting))

    assert "It is cancelled" in roomkit("deliveries", "cancel", left.waiting).stdout
    assert as_json("deliveries", "cancel", left.waiting)["result"] == "too_late"
    assert "It was cancelled by hand" in roomkit("why", left.waiting).stdout


def test_a_channel_is_paused_and_goes_on(roomkit: Run, as_json: Json, left: Left) -> None:
    assert as_json("deliveries", "pause", "sms", "--reason", "the provider moves")["channel_id"] == "sms"
    assert "sms is paused since" in roomkit("deliveries", "pause", "sms").stdout
    assert "the provider moves" in roomkit("deliveries", "paused").stdout
    assert "Its channel is paused by an operator" in roomkit("why", left.waiting).stdout

    assert "sms goes on" in roomkit("deliveries", "resume", "sms").stdout
    assert as_json("deliveries", "resume", "sms") == {"channel_id": "sms", "was_paused": False}
    assert as_json("deliveries", "paused") == []


# ------------------------------------------------------------------------------------------------------- the file


def test_a_backup_is_restored_and_the_former_file_is_kept(roomkit: Run, as_json: Json, left: Left) -> None:
    copy = str(left.path.parent / "copy.db")
    assert as_json("db", "backup", copy)["bytes"] > 0
    roomkit("dead", "purge", "--yes")
    assert as_json("dead", "list") == []

    assert "The former file is" in roomkit("db", "restore", copy).stdout

    assert [row["id"] for row in as_json("dead", "list")] == [left.failed]
    assert Path(f"{left.path}.before-restore").exists()


def test_a_sound_file_is_sound_and_damage_ends_with_1(roomkit: Run, as_json: Json, left: Left) -> None:
    assert "is sound" in roomkit("db", "check").stdout
    db = connect(str(left.path), writes=True)
    db.execute("UPDATE heads SET next_index = next_index + 1")
    db.close()

    result = roomkit("db", "check", exit_code=1)

    assert "rooms whose counter of events is wrong" in result.stdout
    assert json.loads(roomkit("db", "check", "--json", exit_code=1).stdout)["damage"]


def test_migrations_are_told_before_they_are_applied(roomkit: Run, as_json: Json, tmp_path: Path) -> None:
    assert "has the schema of this release" in roomkit("db", "migrate").stdout
    fresh = tmp_path / "fresh.db"
    fresh.touch()

    planned = json.loads(roomkit("db", "migrate", "--dry-run", "--json", store=fresh).stdout)
    assert planned["migrations"]
    assert not planned["applied"]
    assert fresh.stat().st_size == 0
    assert "Applied:" in roomkit("db", "migrate", store=fresh).stdout
    assert "is sound" in roomkit("db", "check", store=fresh).stdout


@pytest.mark.parametrize(
    "command",
    [
        ("why", "x"),
        ("rooms",),
        ("timeline", "room"),
        ("dead", "list"),
        ("dead", "retry", "x"),
        ("deliveries", "list"),
        ("deliveries", "pause", "sms"),
        ("db", "check"),
        ("db", "migrate"),
        ("db", "backup", "copy.db"),
    ],
    ids=" ".join,
)
def test_a_store_that_cannot_be_used_ends_with_3_and_says_why(
    roomkit: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    result = roomkit(*command, store=tmp_path / "absent.db", exit_code=3)
    assert "[store.absent]" in result.stderr
    assert "what to do: " in result.stderr

    text = tmp_path / "text.db"
    text.write_text("this is no database, and long enough to be taken for one\n" * 100, encoding="utf-8")
    result = roomkit(*command, store=text, exit_code=3)
    assert "[store.not_a_database]" in result.stderr
    assert "Traceback" not in result.output


def test_what_needs_the_file_for_itself_is_refused_beside_its_owner(roomkit: Run, left: Left) -> None:
    async def meanwhile() -> None:
        store = SQLiteStore(left.path)
        await store.open()
        try:
            copy = str(left.path.parent / "copy.db")
            await anyio.to_thread.run_sync(lambda: roomkit("db", "backup", copy))
            refused = await anyio.to_thread.run_sync(lambda: roomkit("db", "restore", copy, exit_code=3))
            assert "[store.busy]" in refused.stderr
            await anyio.to_thread.run_sync(lambda: roomkit("db", "check"))
        finally:
            await store.close()

    anyio.run(meanwhile)


# ------------------------------------------------------------------------------------------------------ the command


def test_the_command_says_its_version_and_helps(roomkit: Run) -> None:
    assert roomkit("--version").stdout.strip() == __version__
    assert "Exit codes: 0 fine; 1 not found" in roomkit("--help").stdout


def test_without_its_extra_the_command_says_how_to_get_it() -> None:
    program = "import sys; sys.modules['typer'] = None; from roomkit_core.cli import main; main()"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "pip install 'roomkit-core[cli]'" in done.stderr
    assert "Traceback" not in done.stderr
