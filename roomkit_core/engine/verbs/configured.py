"""From ``roomkit.toml`` to a kit: what it asks for is found among the plugins, built and put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from roomkit_core.builtin import plugin as builtin_plugin
from roomkit_core.config import Offer, Plan, Planning, read
from roomkit_core.config.environment import overlay
from roomkit_core.config.lists import plugin_lists
from roomkit_core.engine.verbs.modules import ImportProblem, source_of
from roomkit_core.errors import ConfigError, ConfigProblem, HookError, PluginError
from roomkit_core.interfaces.clock import Clock
from roomkit_core.interfaces.store import ConversationStore
from roomkit_core.plugin import Kind
from roomkit_core.registry import CatalogEntry, PluginRegistry
from roomkit_core.registry.imports import import_name

DEFAULT_STORE = "room.db"


class Configured(NamedTuple):
    """A kit and what else its configuration says.

    Attributes:
        kit: The kit, not started.
        plan: What it was made from; ``logging`` is for whoever runs it.
    """

    kit: Any
    plan: Plan


class Offered:
    """The components of a registry, as the configuration asks for them."""

    def __init__(self, registry: PluginRegistry) -> None:
        self._registry = registry

    def all(self, kind: str | None = None) -> Collection[tuple[str, Offer]]:
        return [(entry.component.kind, _Entry(entry)) for entry in self._registry.components(kind)]

    def find(self, kind: str, name: str) -> Offer:
        return _Entry(self._registry.find(kind, name))

    def model(self, offer: Offer) -> type[BaseModel] | None:
        assert isinstance(offer, _Entry)
        return self._import(offer.plugin, offer.entry.component.config)

    def target(self, offer: Offer) -> Any:
        assert isinstance(offer, _Entry)
        return self._registry.resolve(offer.entry.component.kind, offer.entry.full_name)

    def trouble(self, plugin: str) -> tuple[str, str] | None:
        broken = [report for report in self._registry.report() if report.id == plugin and report.state != "LOADED"]
        return (f"the plugin does not work, it is {broken[0].state}", broken[0].hint) if broken else None

    def settings_model(self, plugin: str) -> type[BaseModel] | None:
        known = [report for report in self._registry.report() if report.id == plugin]
        if not known:
            raise PluginError(
                f"no plugin {plugin!r} is installed",
                plugin=plugin,
                code="plugin.not_installed",
                hint=f"Install it, or remove [plugins.{plugin}].",
            )
        [report] = known[:1]
        return self._import(plugin, None if report.info is None else report.info.config)

    def _import(self, plugin: str, target: str | None) -> type[BaseModel] | None:
        if target is None:
            return None
        try:
            model = import_name(target)
        except Exception as error:
            hint = f"the model of its configuration cannot be imported from {target}: {type(error).__name__}: {error}"
            self._registry.report_config_error(plugin, hint, error)
            raise PluginError(f"plugin {plugin!r}: {hint}", plugin=plugin, code="plugin.config_model") from error
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise PluginError(
                f"plugin {plugin!r}: {target} is no pydantic model", plugin=plugin, code="plugin.config_model"
            )
        return model


class _Entry:
    """A catalog entry, as the configuration sees it."""

    def __init__(self, entry: CatalogEntry) -> None:
        self.entry = entry

    @property
    def plugin(self) -> str:
        return self.entry.plugin

    @property
    def name(self) -> str:
        return self.entry.component.name


def planning(
    path: Path, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> tuple[Planning, PluginRegistry]:
    """Read a file, and load the plugins that it may use.

    Raises:
        ConfigError: The file cannot be read, or it is not clear which plugins it may use.
    """
    document = read(path)
    lists = plugin_lists(overlay(document, environ, overrides), environ)
    registry = PluginRegistry(allow=lists.allow, deny=lists.deny)
    registry.load(builtin_plugin)
    registry.discover()
    return Planning(document, environ, Offered(registry), overrides), registry


def configured(
    make: Callable[..., Any],
    path: Path,
    environ: Mapping[str, str],
    overrides: Mapping[str, Any] | None = None,
    *,
    store: ConversationStore | None = None,
    clock: Clock | None = None,
) -> Configured:
    """The kit that a file describes.

    Args:
        make: Makes the kit: the class.
        path: The file.
        environ: The environment.
        overrides: Tables as in the file, whose values win over all others.
        store: In the place of that of the file, which is checked and not made.
        clock: The kit's.

    Raises:
        ConfigError: With all problems.
    """
    plans, registry = planning(path, environ, overrides)
    plan = plans.plan()
    for plugin, required in plan.named.items():
        registry.load(plugin, required=required)
    if store is None:
        store = _store(plans, plan, registry)
    locks, router = _chosen(plans, plan, Kind.LOCK), _chosen(plans, plan, Kind.ROUTER, store)
    channels = [plans.build(part) for part in plan.of_kind(Kind.CHANNEL).values()]
    settings = {plugin: plans.complete(given) for plugin, given in plan.settings.items()}
    plans.raise_problems()
    for plugin, complete in settings.items():
        registry.configure(plugin, complete)
    section = plan.kit
    kit = make(
        store,
        lock_manager=locks,
        inbound_router=router,
        max_chain_depth=section.max_chain_depth,
        process_timeout=section.process_timeout,
        cache_mb=section.cache_mb,
        inbound_rate_limit=section.inbound_rate_limit,
        inbound_sender_rate_limit=section.inbound_sender_rate_limit,
        retention=plan.retention,
        attach=section.attach,
        clock=clock,
        plugins=registry,
    )
    for channel in channels:
        kit.register_channel(channel)
    include_app(kit, plan, plans.redact)
    return Configured(kit, plan)


def _store(plans: Planning, plan: Plan, registry: PluginRegistry) -> Any:
    part = plan.chosen(Kind.STORE)
    if part is None:
        return registry.resolve("store", "builtin:sqlite")(plan.document.path.parent / DEFAULT_STORE)
    return plans.build(part)


def _chosen(plans: Planning, plan: Plan, kind: str, *leading: Any) -> Any:
    part = plan.chosen(kind)
    return None if part is None else plans.build(part, *leading)


def include_app(kit: Any, plan: Plan, redact: Callable[[str], str]) -> None:
    """Import the modules of the bot, which stand beside the file, and register what is marked in them.

    Raises:
        ConfigError: With all mistakes in all of them.
    """
    folder = plan.document.path.resolve().parent
    try:
        kit.include(*plan.kit.app, folder=folder)
    except HookError as error:
        sources = [source_of(place, folder) for place in plan.kit.app]
        problems = [
            _at_app(plan, sources.index(one.source), one, redact) if isinstance(one, ImportProblem) else one
            for one in error.problems
        ]
        text = redact(str(error)) if not problems else ""
    else:
        return
    # Not from the other one, whose text may hold a secret.
    raise ConfigError(text, problems=problems, code="config.app")


def _at_app(plan: Plan, place: int, problem: ConfigProblem, redact: Callable[[str], str]) -> ConfigProblem:
    """A module that cannot be imported: told where it is named."""
    where = "" if problem.line is None else f" ({problem.file}:{problem.line})"
    keys = ("roomkit", "app", str(place))
    return plan.document.problem(keys, redact(problem.what + where), problem.fix)
