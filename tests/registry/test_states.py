"""What can be wrong with one plugin: each state, its exception, its hint, and nothing left behind."""

from __future__ import annotations

import logging

import pytest

from roomkit_core.plugin import Component
from roomkit_core.registry import PluginRegistry, PluginReport, PluginState
from tests.registry.plugins import Site, module, reported

COMPONENTS = """
    @hookimpl
    def roomkit_components():
        yield Component("channel", "pager", "a:B")
"""


def loaded(source: str, site: Site, *, info: str | None = None) -> tuple[PluginRegistry, PluginReport]:
    """Install the plugin ``pager`` and a good one beside it, discover both."""
    site.plugin("pager", source, info=info)
    site.plugin("good", COMPONENTS)
    registry = PluginRegistry()
    registry.discover()
    assert reported(registry, "good").state is PluginState.LOADED
    return registry, reported(registry, "pager")


def test_a_loaded_plugin_is_reported_with_all_that_is_known_of_it(site: Site) -> None:
    _, report = loaded(COMPONENTS, site)

    assert (report.state, report.distribution, report.version) == (PluginState.LOADED, "roomkit-pager", "1.0")
    assert (report.exception, report.hint, report.named) == (None, "", False)
    assert report.info is not None
    assert report.components == (Component("channel", "pager", "a:B"),)
    assert str(report) == "pager (roomkit-pager 1.0) LOADED"


@pytest.mark.parametrize(
    ("source", "exception", "words"),
    [
        ("import not_installed_anywhere", ModuleNotFoundError, "reinstall the plugin with its dependencies"),
        ("1 / 0", ZeroDivisionError, "division by zero"),
        ("def broken(:", SyntaxError, "invalid syntax"),
        ("import sys; sys.exit(3)", SystemExit, "SystemExit: 3"),
        ("class Panic(BaseException): ...\nraise Panic", BaseException, "Panic"),
    ],
)
def test_t36_one_plugin_that_does_not_import_leaves_the_others(
    source: str, exception: type[BaseException], words: str, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    _, report = loaded(source, site)

    assert report.state is PluginState.IMPORT_ERROR
    assert isinstance(report.exception, exception)
    assert words in report.hint
    [record] = [found for found in caplog.records if getattr(found, "plugin", "") == "pager"]
    assert (record.levelno, record.name) == (logging.WARNING, "roomkit.plugins")


def test_ctrl_c_while_a_plugin_is_imported_is_not_swallowed(site: Site) -> None:
    with pytest.raises(KeyboardInterrupt):
        loaded("raise KeyboardInterrupt", site)


@pytest.mark.parametrize("info", ["", "PLUGIN = 'pager'", "def __getattr__(name): raise KeyError(name)"])
def test_a_module_without_plugin_info_is_reported_with_the_line_to_write(info: str, site: Site) -> None:
    registry, report = loaded(COMPONENTS, site, info=info)

    assert report.state is PluginState.NO_METADATA
    assert 'PLUGIN = PluginInfo("pager", api="1.0")' in report.hint
    assert "pager" not in [entry.plugin for entry in registry.components()]


def test_an_entry_point_of_another_name_than_the_plugin_is_reported_with_both(site: Site) -> None:
    _, report = loaded("", site, info='PLUGIN = PluginInfo("beeper", api="1.0")')

    assert report.state is PluginState.NO_METADATA
    assert "'pager'" in report.hint
    assert "'beeper'" in report.hint


@pytest.mark.parametrize(
    ("api", "ours", "state", "words"),
    [
        ("1.0", "1.0", PluginState.LOADED, ""),
        ("1.0", "1.2", PluginState.LOADED, ""),
        ("1.3", "1.2", PluginState.INCOMPATIBLE, "a newer version of roomkit-core"),
        ("1.10", "1.9", PluginState.INCOMPATIBLE, "a newer version of roomkit-core"),
        ("2.0", "1.2", PluginState.INCOMPATIBLE, "a newer version of roomkit-core"),
        ("1.0", "2.0", PluginState.INCOMPATIBLE, "a newer version of the plugin"),
    ],
)
def test_a_plugin_loads_if_its_major_is_ours_and_its_minor_not_above(
    api: str, ours: str, state: PluginState, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomkit_core.registry.checks.API_VERSION", ours)

    report = PluginRegistry([]).load(module("pager", api=api))

    assert report.state is state
    assert words in report.hint


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("@hookimpl\ndef roomkit_hooks(kit): ...", "'kit'"),
        ("@hookimpl\ndef roomkit_component(): ...", "did you mean roomkit_components?"),
        ("@hookimpl\ndef roomkit_startup(kit): ...", "roomkit_startup must be an async function"),
        ("@hookimpl\nasync def roomkit_hooks(registrar): ...", "roomkit_hooks must be a plain function"),
        ("@hookimpl(wrapper=True)\ndef roomkit_components():\n    yield", "is a wrapper"),
        ("def roomkit_shutdown(kit): ...", "roomkit_shutdown is not decorated with @hookimpl"),
    ],
)
def test_an_implementation_that_does_not_fit_takes_the_whole_plugin_back(source: str, words: str, site: Site) -> None:
    announce = (
        '@hookimpl(specname="roomkit_components")\ndef announce(): return [Component("channel", "beep", "a:B")]\n'
    )
    registry, report = loaded(announce + source, site)

    assert report.state is PluginState.INVALID_HOOKS
    assert words in report.hint
    assert "\n" not in report.hint
    assert report.components == ()
    assert "pager" not in [entry.plugin for entry in registry.components()]


def test_an_optional_implementation_of_an_unknown_specification_is_let_be(site: Site) -> None:
    _, report = loaded("@hookimpl(optionalhook=True)\ndef roomkit_someday(): ...", site)

    assert report.state is PluginState.LOADED


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("yield Component('channel', 'beep', 'a:B')\n    raise OSError('disk')", "OSError: disk"),
        ("yield Component('channel', 'Beep!', 'a:B')", "'Beep!' is not a component name"),
        ("return None", "expected an iterable of Component, got None"),
        ("return 'beep'", "expected an iterable of Component, got 'beep'"),
        ("return [object]", "expected Component, got <class 'object'>"),
        (
            "return [Component('channel', 'beep', 'a:B'), Component('channel', 'beep', 'c:D')]",
            "'beep' is announced twice",
        ),
    ],
)
def test_roomkit_components_that_are_rubbish_leave_the_plugin_unregistered(body: str, words: str, site: Site) -> None:
    registry, report = loaded(f"@hookimpl\ndef roomkit_components():\n    {body}", site)

    assert report.state is PluginState.HOOK_ERROR
    assert words in report.hint
    assert report.components == ()
    assert "pager" not in [entry.plugin for entry in registry.components()]


def test_a_broken_plugin_passed_by_code_is_reported_and_does_not_raise() -> None:
    def roomkit_components() -> None:
        raise OSError("disk")

    report = PluginRegistry([]).load(module("pager", roomkit_components))

    assert (report.state, report.named, report.distribution) == (PluginState.HOOK_ERROR, True, None)
    assert isinstance(report.exception, OSError)


def test_half_a_registration_is_taken_back_and_its_id_is_free_again() -> None:
    def roomkit_components() -> None:
        raise OSError("disk")

    async def roomkit_hooks(registrar: object) -> None: ...

    registry = PluginRegistry([])

    assert registry.load(module("pager", roomkit_components)).state is PluginState.HOOK_ERROR
    assert registry.load(module("pager", roomkit_hooks)).state is PluginState.INVALID_HOOKS
    assert registry.load(module("pager")).state is PluginState.LOADED


def test_something_that_is_no_plugin_is_reported_under_its_own_name() -> None:
    registry = PluginRegistry([])

    assert registry.load(logging).id == "logging"
    assert registry.load(object()).state is PluginState.NO_METADATA
