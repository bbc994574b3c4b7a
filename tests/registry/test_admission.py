"""Allow and deny lists: what is not wanted is not even imported."""

from __future__ import annotations

from typing import Any

import pytest

from roomkit_core.errors import PluginError
from roomkit_core.registry import PluginRegistry, PluginState
from tests.registry.plugins import Site, module, reported


@pytest.fixture
def forbidden(site: Site) -> Site:
    """A plugin whose import fails the test, and a good one."""
    site.plugin("pager", "raise AssertionError('imported')")
    site.plugin("good", "")
    return site


@pytest.mark.usefixtures("forbidden")
@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"deny": ["pager"]}, "on the list of denied"),
        ({"allow": ["good"]}, "not on the list of allowed"),
        ({"allow": ["good", "pager"], "deny": ["pager"]}, "on the list of denied"),
    ],
)
def test_a_plugin_that_is_not_wanted_is_disabled_and_not_imported(lists: dict[str, Any], words: str) -> None:
    registry = PluginRegistry(**lists)

    registry.discover()

    assert reported(registry, "pager").state is PluginState.DISABLED
    assert words in reported(registry, "pager").hint
    assert reported(registry, "good").state is PluginState.LOADED


@pytest.mark.usefixtures("forbidden")
def test_a_disabled_plugin_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    PluginRegistry(deny=["pager"]).discover()

    assert [record for record in caplog.records if getattr(record, "plugin", "") == "pager"] == []


@pytest.mark.usefixtures("forbidden")
async def test_a_kit_that_requires_a_plugin_which_is_denied_does_not_start() -> None:
    registry = PluginRegistry(deny=["pager"])
    registry.load("pager")

    with pytest.raises(PluginError, match=r"pager .* DISABLED: it is on the list of denied"):
        await registry.startup(None)  # type: ignore[arg-type]


async def test_a_named_plugin_that_is_not_required_may_be_broken(site: Site) -> None:
    site.plugin("pager", "raise ValueError")
    registry = PluginRegistry()
    report = registry.load("pager", required=False)

    await registry.startup(None)  # type: ignore[arg-type]

    assert (report.named, report.required, report.state) == (True, False, PluginState.IMPORT_ERROR)


def test_lists_are_not_about_what_code_passes_in() -> None:
    assert PluginRegistry([], allow=[]).load(module("pager")).state is PluginState.LOADED


@pytest.mark.parametrize("lists", [{"allow": "pager"}, {"deny": "pager"}])
def test_a_list_that_is_one_string_is_refused(lists: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="not one string"):
        PluginRegistry([], **lists)
