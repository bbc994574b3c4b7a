"""Durable means on the disk: looked at from outside, by the calls that the process makes to the system."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from roomkit_core.builtin.sqlite.check import check
from tests.support.require import require_program
from tests.support.sqlite import opened

MESSAGES = """
import os, sys, anyio
from roomkit_core import SQLiteStore, StoreError
from roomkit_testkit.stores.makers import Writer

async def main():
    store = SQLiteStore(sys.argv[1], synchronous=sys.argv[3])
    await store.open()
    writer = Writer(store)
    try:
        await writer.create()
        for number in range(40):
            event = await writer.say(f"message number {number}")
            os.write(1, f"acknowledged {event.id}\\n".encode())
    except StoreError as error:
        os.write(1, f"failed {error.code} {store.failure is not None}\\n".encode())

anyio.run(main, backend=sys.argv[2])
"""
CALLS = "fdatasync,fsync,pwrite64,write"


def traced(path: Path, backend: str, synchronous: str, *options: str) -> tuple[list[str], list[str]]:
    """Run the messages under strace; what the process printed, and its calls in their order."""
    strace = require_program("strace")
    log = path.with_name("calls")
    done = subprocess.run(
        [
            *(strace, "-f", "-y", "-e", f"trace={CALLS}", "-s", "40", "-o", str(log), *options),
            *(sys.executable, "-c", MESSAGES, str(path), backend, synchronous),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "PTRACE" in done.stderr and "not permitted" in done.stderr:
        pytest.skip("this machine does not let processes be traced")
    return done.stdout.splitlines(), log.read_text(errors="replace").splitlines()


def steps(calls: list[str]) -> list[str]:
    """The calls that matter, in a word each: ``written`` to the log, ``synced``, ``acknowledged``."""
    found = []
    for call in calls:
        if re.search(r"pwrite64\(\d+<[^>]*-wal>", call):
            found.append("written")
        elif re.search(r"(fdatasync|fsync)\(\d+<[^>]*-wal>\)? .*= 0|<\.\.\. (fdatasync|fsync) resumed>.* = 0", call):
            found.append("synced")
        elif re.search(r'write\(1<.*"acknowledged ', call):
            found.append("acknowledged")
    return found


def are_durable(found: list[str]) -> list[bool]:
    """For each acknowledgement whether something was written since the one before, and synced after that."""
    durable, state = [], ""
    for step in found:
        if step == "acknowledged":
            durable.append(state == "synced")
            state = ""
        elif step == "written" or state == "written":
            state = step
    return durable


def test_every_message_is_synced_between_its_write_and_its_acknowledgement(tmp_path: Path, anyio_backend: str) -> None:
    printed, calls = traced(tmp_path / "rooms.db", anyio_backend, "full")

    assert len(printed) == 40
    assert are_durable(steps(calls)) == [True] * 40


def test_without_full_synchronisation_the_same_look_finds_none(tmp_path: Path, anyio_backend: str) -> None:
    printed, calls = traced(tmp_path / "rooms.db", anyio_backend, "off")

    assert len(printed) == 40
    assert are_durable(steps(calls)) == [False] * 40


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_an_io_error_of_the_disk_ends_in_an_error_and_not_in_an_acknowledgement(
    tmp_path: Path, anyio_backend: str, call: str
) -> None:
    path = tmp_path / "rooms.db"
    anyio.run(create, path, backend=anyio_backend)
    # strace counts for each thread by itself. Opening a file that is there takes less than this.
    when = {"fdatasync": "12+", "pwrite64": "150+"}[call]
    printed, calls = traced(path, anyio_backend, "full", "-e", f"inject={call}:error=EIO:when={when}")

    *acknowledged, last = printed
    assert any("(INJECTED)" in line for line in calls)
    assert 0 < len(acknowledged) < 40
    assert all(line.startswith("acknowledged ") for line in acknowledged)
    assert last == "failed store.io True"
    assert check(str(path)) == []
    assert missing(path, acknowledged, anyio_backend) == []


async def create(path: Path) -> None:
    async with opened(path):
        pass


def missing(path: Path, acknowledged: list[str], backend: str) -> list[str]:
    """Which of the acknowledged events the file does not have."""

    async def look() -> list[str]:
        async with opened(path) as store:
            ids = [line.split()[1] for line in acknowledged]
            return [event_id for event_id in ids if await store.get_event(event_id) is None]

    return anyio.run(look, backend=backend)
