"""Which store a command looks at if nobody names one."""

from __future__ import annotations

from pathlib import Path

import pytest

from roomkit_core.cli.places import configured_store
from roomkit_core.errors import ConfigError

TWO = '[stores.a]\nuse = "sqlite"\npath = "a.db"\n[stores.b]\nuse = "builtin:sqlite"\npath = "b.db"\n'


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        (None, {}, "room.db"),
        ("", {}, "room.db"),
        ('[stores.main]\nuse = "sqlite"\n', {}, "room.db"),
        ('[stores.main]\nuse = "sqlite"\npath = "here/rooms.db"\n', {}, "here/rooms.db"),
        (f'{TWO}\n[roomkit]\nstore = "b"\n', {}, "b.db"),
        (TWO, {"ROOMKIT_ROOMKIT__STORE": "a"}, "a.db"),
        ('[stores.main]\nuse = "sqlite"\n', {"ROOMKIT_STORES__MAIN__PATH": "/elsewhere/x.db"}, "/elsewhere/x.db"),
    ],
)
def test_it_is_that_of_the_configuration(
    text: str | None, environ: dict[str, str], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "roomkit.toml"
    if text is not None:
        path.write_text(text)

    assert configured_store(path, environ) == str(tmp_path / expected)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TWO, "several stores"),
        ('[stores.main]\nuse = "memory"\n', "no SQLite file"),
        ('[stores.main]\nuse = "sqlite"\npath = { env = "WHERE" }\n', "does not stand in it"),
        ("[stores", "has to be TOML"),
    ],
)
def test_where_the_configuration_does_not_say_it_has_to_be_named(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "roomkit.toml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=why):
        configured_store(path, {})
