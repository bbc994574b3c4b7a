"""Plugins to test with: real distributions on ``sys.path``, and modules as code passes them in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from types import ModuleType

from roomkit_core.plugin import PluginInfo, hookimpl
from roomkit_core.registry import PluginRegistry, PluginReport


@dataclass
class Site:
    """A directory on ``sys.path`` into which distributions are installed as pip does it: files and metadata."""

    path: Path

    def install(
        self,
        distribution: str,
        modules: dict[str, str],
        *,
        version: str = "1.0",
        entry_points: str | None = None,
        metadata: bool = True,
    ) -> None:
        """Write modules by dotted name, and metadata.

        Args:
            distribution: Its name.
            modules: Source by module name. A leading ``from roomkit_core.plugin import *`` is added.
            version: Its version.
            entry_points: Lines of the group ``roomkit.plugins``.
            metadata: Whether a METADATA file is there; without it, the distribution has neither name nor version.
        """
        for name, source in modules.items():
            file = self.path.joinpath(*name.split(".")).with_suffix(".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("from roomkit_core.plugin import *\n" + dedent(source), encoding="utf-8")
        folder = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        if metadata:
            text = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
            (folder / "METADATA").write_text(text, encoding="utf-8")
        if entry_points is not None:
            (folder / "entry_points.txt").write_text(f"[roomkit.plugins]\n{entry_points}\n", encoding="utf-8")

    def plugin(self, plugin_id: str, source: str, *, distribution: str = "", info: str | None = None) -> None:
        """Install a distribution with one plugin in the module ``plugin_<id>_<distribution>``."""
        distribution = distribution or f"roomkit-{plugin_id}"
        module = f"plugin_{plugin_id}_{distribution}".replace("-", "_")
        info = f'PLUGIN = PluginInfo("{plugin_id}", api="1.0")' if info is None else info
        self.install(distribution, {module: f"{info}\n" + dedent(source)}, entry_points=f"{plugin_id} = {module}")


def module(plugin_id: str, *implementations: Callable[..., object], api: str = "1.0") -> ModuleType:
    """A plugin as code passes it in; each implementation has the name of its specification."""
    plugin = ModuleType(f"plugin_{plugin_id}")
    plugin.PLUGIN = PluginInfo(plugin_id, api=api)  # type: ignore[attr-defined]
    for implementation in implementations:
        setattr(plugin, implementation.__name__, hookimpl(implementation))
    return plugin


def reported(registry: PluginRegistry, plugin_id: str) -> PluginReport:
    """The one line of the report on a plugin."""
    [report] = [report for report in registry.report() if report.id == plugin_id]
    return report
