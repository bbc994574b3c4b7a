"""What editors are told about the file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from roomkit_core.cli.app import app
from roomkit_core.cli.installed import installed_plugins
from tests.config import pager
from tests.registry.plugins import Site

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def schema(site: Site, tmp_path: Path) -> Any:
    """The schema that the command prints, with ``pager`` installed."""
    pager.install(site)
    installed_plugins.cache_clear()
    done = CliRunner().invoke(app, ["config", "schema", str(tmp_path / "roomkit.toml")], catch_exceptions=False)
    installed_plugins.cache_clear()
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    Draft202012Validator.check_schema(found)
    return found


def complaints(schema: Any, text: str) -> list[str]:
    """Where the schema objects to a file."""
    found = Draft202012Validator(schema).iter_errors(tomllib.loads(text))
    return sorted(".".join(map(str, error.absolute_path)) for error in found)


RIGHT = """
[roomkit]
store = "main"
process_timeout = "20s"
[roomkit.plugins]
deny = ["x"]
[stores.main]
use = "builtin:sqlite"
path = { env = "WHERE" }
[channels.web]
use = "websocket"
[channels.a]
use = "pager"
number = "1"
provider = "ours"
[channels.b]
use = "pager"
number = "1"
[channels.b.provider]
use = "beeper"
token = { safe = "x" }
[providers.ours]
use = "beeper"
[secrets.safe]
use = "vault"
key = "x"
[plugins.pager]
required = false
region = "us"
gate = { use = "gate", password = "x" }
[logging]
levels = { "roomkit.delivery" = "debug" }
[retention]
settled = "3d"
dead = 60
"""


def test_a_right_file_is_right_by_the_schema(schema: Any) -> None:
    assert complaints(schema, RIGHT) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/roomkit.toml")), ids=lambda path: path.parent.name)
def test_the_examples_are_right_by_the_schema(schema: Any, path: Path) -> None:
    assert complaints(schema, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('use = "websocket"', 'use = "websokcet"', "channels.web"),
        ('use = "websocket"', 'use = "websocket"\ncolour = 1', "channels.web"),
        ("[roomkit]", "[romkit]", ""),
        ('process_timeout = "20s"', "process_timeout = true", "roomkit.process_timeout"),
        ('process_timeout = "20s"', 'process_timeout = "20 years"', "roomkit.process_timeout"),
        ('provider = "ours"', "provider = 1", "channels.a"),
        ('region = "us"', 'regoin = "us"', "plugins.pager"),
        ("required = false", 'required = "no"', "plugins.pager.required"),
        ('"debug"', '"loud"', "logging.levels.roomkit.delivery"),
        ("dead = 60", 'dead = "soon"', "retention.dead"),
    ],
)
def test_an_editor_marks_a_mistake(schema: Any, old: str, new: str, place: str) -> None:
    assert place in complaints(schema, RIGHT.replace(old, new))


def test_every_key_has_words_for_people(schema: Any) -> None:
    tables = [*schema["properties"].values(), *schema["properties"]["plugins"]["properties"].values()]
    tables += [table for kind in schema["$defs"].values() for table in kind.get("oneOf", [])]
    silent = [
        key
        for table in tables
        for key, value in table.get("properties", {}).items()
        if not value.get("description") and table is not schema["properties"]["plugins"]
    ]

    assert silent == []
