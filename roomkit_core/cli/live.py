"""``roomkit doctor --live``: a kit is started, and its parts are asked whether they reach what they need."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio

from roomkit_core.cli.configuration import kit_of_file
from roomkit_core.cli.configuration_health import findings_of
from roomkit_core.cli.findings import Finding
from roomkit_core.errors import ConfigError, RoomKitError, StoreBusyError
from roomkit_core.interfaces.channel import Channel
from roomkit_core.kit import RoomKit
from roomkit_core.registry.imports import import_name
from roomkit_core.registry.report import describe

PATIENCE: Final = 10.0
"""Seconds for one question."""


def look_at_kit(name: str) -> list[Finding]:
    """Start the kit that a program has under a name, ask each of its parts, and close it.

    Args:
        name: ``"module:kit"``, looked for in the working directory, too.
    """
    try:
        kit = _find(name)
    except ConfigError as error:
        return [Finding("kit", "wrong", str(error), error.hint)]
    return anyio.run(_ask_all, kit)


def look_at_configured(path: str) -> list[Finding]:
    """The same with the kit that a configuration file describes."""
    try:
        kit = kit_of_file(path)
    except ConfigError as error:
        return list(findings_of(error))
    except RoomKitError as error:
        return [Finding("kit", "wrong", f"it cannot be made: {error} [{error.code}]", error.hint)]
    return anyio.run(_ask_all, kit)


def _find(name: str) -> RoomKit:
    sys.path.insert(0, str(Path.cwd()))
    hint = "Name the kit of your program as module:name, and keep what starts it under `if __name__ == ...`."
    try:
        found = import_name(name)
    except Exception as error:
        raise ConfigError(f"{name} cannot be imported: {describe(error)}", hint=hint) from error
    finally:
        sys.path.pop(0)
    if not isinstance(found, RoomKit):
        raise ConfigError(f"{name} is {found!r}, expected a RoomKit", hint=hint)
    return found


async def _ask_all(kit: RoomKit) -> list[Finding]:
    try:
        async with kit:
            findings = [Finding("kit", "fine", "it starts")]
            for channel_id, channel in kit.channels.items():
                findings.append(await _ask_channel(channel_id, channel))
            for subject, part in _parts(kit):
                findings += [found for found in [await _check(subject, part)] if found is not None]
            return findings
    except StoreBusyError as error:
        hint = "A server runs on this store: ask it at /readyz, or stop it first."
        return [Finding("kit", "note", f"not started: {error}", hint)]
    except RoomKitError as error:
        return [Finding("kit", "wrong", f"it does not start: {error} [{error.code}]", error.hint)]
    except Exception as error:
        return [Finding("kit", "wrong", f"it does not start, or not stop: {describe(error)}")]


def _parts(kit: RoomKit) -> Iterator[tuple[str, object]]:
    yield "store", kit.store
    yield "lock", kit.lock_manager
    for channel_id, channel in kit.channels.items():
        yield f"channel {channel_id}", channel


async def _ask_channel(channel_id: str, channel: Channel) -> Finding:
    subject = f"channel {channel_id}"
    hint = "Look at its credentials and at the network between here and the provider."
    try:
        with anyio.fail_after(PATIENCE):
            is_ready = await channel.ready()
    except TimeoutError:
        return Finding(subject, "wrong", f"ready() did not answer within {PATIENCE:g} seconds", hint)
    except Exception as error:
        return Finding(subject, "wrong", f"ready() failed: {describe(error)}", hint)
    return Finding(subject, "fine", "ready") if is_ready else Finding(subject, "wrong", "not ready", hint)


async def _check(subject: str, part: object) -> Finding | None:
    """What the part's own ``check()`` says; None if it has none."""
    check = getattr(part, "check", None)
    if not inspect.iscoroutinefunction(check):
        return None
    try:
        with anyio.fail_after(PATIENCE):
            objection = await check()
    except TimeoutError:
        return Finding(subject, "wrong", f"check() did not answer within {PATIENCE:g} seconds")
    except Exception as error:
        return Finding(subject, "wrong", f"check() failed: {describe(error)}")
    return Finding(subject, "wrong", str(objection)) if objection else Finding(subject, "fine", "checked itself")
