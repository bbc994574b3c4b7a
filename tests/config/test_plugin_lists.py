"""``[roomkit.plugins]``: what may not be loaded is not imported, whatever else the file says."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from roomkit_core import ConfigError, RoomKit
from roomkit_core.cli.lists import operator_lists
from roomkit_core.registry import PluginState
from tests.registry.conftest import make_site as make_site
from tests.registry.conftest import site as site
from tests.registry.plugins import Site
from tests.support.configs import write_config


@pytest.fixture
def forbidden(site: Site) -> None:
    """A plugin whose import fails the test."""
    site.plugin("pager", "raise AssertionError('imported')")


def state_of(kit: RoomKit, plugin: str) -> PluginState:
    return next(report.state for report in kit.plugins.report() if report.id == plugin)


@pytest.mark.usefixtures("forbidden")
@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ('[roomkit.plugins]\ndeny = ["pager"]\n', {}),
        ("[roomkit.plugins]\nallow = []\n", {}),
        ("", {"ROOMKIT_ROOMKIT__PLUGINS__DENY": '["pager"]'}),
    ],
)
def test_a_plugin_that_file_or_environment_denies_is_not_imported(
    text: str, environ: dict[str, str], tmp_path: Path
) -> None:
    kit = RoomKit.from_config(write_config(tmp_path, text), environ=environ)

    assert state_of(kit, "pager") is PluginState.DISABLED


@pytest.mark.usefixtures("forbidden")
@pytest.mark.parametrize(
    "text",
    [
        '[roomkit.plugins]\ndeny = "pager"\n',
        "[roomkit.plugins]\ndeny = [1]\n",
        '[roomkit.plugins]\nallow = "pager"\n',
        '[roomkit.plugins]\ndney = ["pager"]\n',
        '[roomkit.plugins]\ndeny = [{ env = "NOBODY" }]\n',
        '[roomkit]\nplugins = "pager"\n',
    ],
)
def test_a_list_that_is_none_lets_nothing_in_neither_a_kit_nor_a_command(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOBODY", raising=False)
    file = write_config(tmp_path, text)
    for read in (partial(RoomKit.from_config, file, environ={}), partial(operator_lists, str(file))):
        with pytest.raises(ConfigError, match=r"roomkit\.toml:2: roomkit\.plugins"):
            read()


@pytest.mark.usefixtures("forbidden")
def test_a_list_may_name_its_ids_by_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNWANTED", "pager")
    file = write_config(tmp_path, '[roomkit.plugins]\ndeny = [{ env = "UNWANTED" }]\n')

    assert state_of(RoomKit.from_config(file, environ={"UNWANTED": "pager"}), "pager") is PluginState.DISABLED
    assert operator_lists(str(file)).deny == ("pager",)


def test_there_is_no_kit_without_a_plugin_that_its_file_requires_and_denies(site: Site, tmp_path: Path) -> None:
    site.plugin("pager", "")
    text = '[roomkit.plugins]\ndeny = ["pager"]\n[plugins.pager]\n'

    with pytest.raises(ConfigError, match=r"pager.*DISABLED.*denied"):
        RoomKit.from_config(write_config(tmp_path, text), environ={})
