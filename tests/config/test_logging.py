"""``[logging]``: what is written, where to and in which form; and that a library writes nothing by itself."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from roomkit_core import ConfigError, configure_logging
from tests.support.configs import write_config
from tests.support.logs import logging_as_before as logging_as_before

pytestmark = pytest.mark.usefixtures("logging_as_before")


def set_up(folder: Path, text: str) -> Path:
    configure_logging(write_config(folder, f'[logging]\nfile = "bot.log"\n{text}'), environ={})
    return folder / "bot.log"


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_json_line_says_what_it_is_about_and_what_was_raised(tmp_path: Path) -> None:
    file = set_up(tmp_path, 'format = "json"\n')

    try:
        raise RuntimeError("broken\nin two lines")
    except RuntimeError:
        about = {"room_id": "r", "channel_id": "c", "event_id": "e"}
        logging.getLogger("roomkit.delivery").exception("it %s", "failed", extra=about)

    [line] = lines(file)
    assert {key: line[key] for key in about} == about
    assert (line["level"], line["logger"], line["message"]) == ("error", "roomkit.delivery", "it failed")
    assert "RuntimeError: broken\nin two lines" in line["exception"]
    assert line["time"].endswith("+00:00")


def test_a_text_line_is_for_people_and_says_the_same(tmp_path: Path) -> None:
    file = set_up(tmp_path, "")

    logging.getLogger("roomkit.delivery").warning("slow", extra={"room_id": "r"})

    line = file.read_text(encoding="utf-8")
    assert line.endswith(" WARNING roomkit.delivery: slow (room_id=r)\n")


def test_each_area_has_its_level(tmp_path: Path) -> None:
    file = set_up(
        tmp_path, 'format = "json"\nlevel = "warning"\nlevels = { "roomkit.delivery" = "debug", elsewhere = "error" }\n'
    )

    for name in ("roomkit.delivery", "roomkit.store", "elsewhere"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(level, "x")

    assert [(line["logger"], line["level"]) for line in lines(file)] == [
        ("roomkit.delivery", "debug"),
        ("roomkit.delivery", "info"),
        ("roomkit.delivery", "warning"),
        ("roomkit.delivery", "error"),
        ("roomkit.store", "warning"),
        ("roomkit.store", "error"),
        ("elsewhere", "error"),
    ]


def test_the_modules_of_the_bot_are_as_loud_as_the_kit(tmp_path: Path) -> None:
    file = tmp_path / "bot.log"
    text = '[roomkit]\napp = ["bot", "talk.py"]\n[logging]\nfile = "bot.log"\nlevel = "debug"\n'
    configure_logging(write_config(tmp_path, text), environ={})

    for name in ("bot", "bot.words", "talk", "elsewhere"):
        logging.getLogger(name).debug(name)

    assert [line.split()[-1] for line in file.read_text(encoding="utf-8").splitlines()] == ["bot", "bot.words", "talk"]


def test_setting_up_again_replaces_what_was_set_up(tmp_path: Path) -> None:
    file = set_up(tmp_path, "")
    configure_logging(write_config(tmp_path, '[logging]\nfile = "other.log"\n'), environ={})

    logging.getLogger("roomkit.x").warning("where")

    assert file.read_text(encoding="utf-8") == ""
    assert "where" in (tmp_path / "other.log").read_text(encoding="utf-8")


def test_an_area_that_is_not_named_any_more_has_the_level_of_all(tmp_path: Path) -> None:
    set_up(tmp_path, 'levels = { "roomkit.delivery" = "error" }\n')
    file = set_up(tmp_path, "")

    logging.getLogger("roomkit.delivery").info("there")

    assert "there" in file.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be moved away there")
def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    file = set_up(tmp_path, "")
    logging.getLogger("roomkit.x").warning("before")
    file.rename(tmp_path / "bot.log.1")

    logging.getLogger("roomkit.x").warning("after")

    assert "before" in (tmp_path / "bot.log.1").read_text(encoding="utf-8")
    assert "after" in file.read_text(encoding="utf-8")


def test_a_reference_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="WHERE is not set"):
        configure_logging(write_config(tmp_path, '[logging]\nfile = { env = "WHERE" }\n'), environ={})


def test_without_a_file_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()

    logging.getLogger("roomkit.x").info("there")

    assert "there" in capsys.readouterr().err


def test_a_wrong_section_is_told_and_changes_nothing(tmp_path: Path) -> None:
    before = logging.getLogger().handlers[:]

    with pytest.raises(ConfigError, match=r"logging\.format"):
        set_up(tmp_path, 'format = "xml"\n')

    assert logging.getLogger().handlers == before


def test_neither_importing_roomkit_nor_making_a_kit_changes_how_a_program_logs(tmp_path: Path) -> None:
    write_config(tmp_path, '[logging]\nlevel = "debug"\n[channels.bot]\nuse = "bot"\n')
    program = dedent(
        """
        import logging
        def state():
            names = [name for name in logging.root.manager.loggerDict if name.startswith("roomkit")]
            return logging.root.level, logging.root.handlers[:], [
                name for name in names if logging.getLogger(name).level or logging.getLogger(name).handlers
            ]
        before = state()
        from roomkit_core import RoomKit
        RoomKit(), RoomKit.from_config("roomkit.toml")
        assert state() == before, state()
        """
    )

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=tmp_path)
