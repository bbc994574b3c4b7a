"""The pytest plugin, as somebody meets it who has installed the testkit: in a folder with a bot and its tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TEST = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"

async def test_it_answers(room):
    await room.say("hi")
    assert room.heard() == ["You said: hi"]

async def test_it_is_polite(room):
    await room.say("rude")
    await room.later(60)
    assert room.heard() == ["never"]
"""


def run(folder: Path, *settings: str) -> str:
    """What pytest says in a folder with such tests."""
    (folder / "test_bot.py").write_text(TEST)
    lines = "\n".join(['anyio_mode = "auto"', *settings])
    (folder / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\n{lines}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_the_fixture_is_a_new_room_with_the_bot_and_a_failure_shows_the_conversation(bot_file: Path) -> None:
    output = run(bot_file.parent)

    assert "1 failed, 1 passed" in output, output
    _, conversation = output.split(" conversation ", 1)
    assert "you: rude  [blocked: rude]\n(60 seconds pass)" in conversation
    assert "hi" not in conversation.partition("short test summary")[0]


def test_another_bot_is_a_setting(bot_file: Path) -> None:
    bot_file.rename(bot_file.with_name("other.py"))

    assert "1 failed, 1 passed" in run(bot_file.parent, 'roomkit_bot = "other.py"')


def test_a_run_that_tests_no_bot_loads_no_roomkit(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_it():\n"
        "    assert not [name for name in sys.modules if name.startswith('roomkit_core')]\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_other.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert done.returncode == 0, done.stdout
