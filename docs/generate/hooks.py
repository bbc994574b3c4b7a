"""Writes docs/reference/hooks.md: every moment, from what stands below its name in :class:`HookTrigger`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from docs.generate.pages import cell, finish, table
from docs.generate.source import attribute_texts, sections
from roomkit_core.engine.steps.run_hook import MAX_ATTEMPTS
from roomkit_core.hooks.registration import DECIDING, FIRED
from roomkit_core.kit import RoomKit
from roomkit_core.models.triggers import HookTrigger

_HEAD: Final = """# Hooks

Generated from the code by `python -m docs.generate.hooks`.

A hook is a function that is called at a moment: `@hook(trigger, ...)` in a module of the bot, `@kit.hook(trigger, ...)`
in a program, `kit.add_room_hook(room_id, trigger, ...)` for one room, `@registrar.hook(trigger, ...)` in a plugin. It
is a `def` or an `async def` and gets `(event, context)`: what happened, and the `RoomContext` of that moment. It
gets the kit, too, if it has a parameter `kit`.

| argument | if absent | |
|---|---|---|
| `execution` | `"{execution}"` | `"sync"` decides where the moment can be decided, `"async"` observes |
| `priority` | `{priority}` | lower runs first; of equal ones those of all rooms first, as they were registered |
| `name` | the function's | names it in results and logs; a durable hook is found by it after a restart |
| `timeout` | `{timeout:g}` | seconds for one run |
| `channel_types`, `channel_ids`, `directions` | all | only events from these channels; all that are given have to fit |
| `on_error` | `"{on_error}"` | what becomes of the event when a deciding hook fails: `"allow"` or `"block"` |
| `durable` | `{durable}` | each call is owed; for `after_broadcast` |

An event is not shown to a hook on the chain that sent it.

## Deciding hooks

Those at {deciding} with `execution="sync"`.

- **When**: before the commit, inside the room's unit of work, one after the other; each sees what the one before left.
  They are called again if the room changed underneath; `context.attempt` counts.
- **Answer**: `HookResult.allow()`, `.modify(event)` or `.block(reason)`; each may inject events, and `HookResult`
  itself takes `tasks` and `observations`. After a block no later hook is asked, and the event is stored as `BLOCKED`
  and passed on to nobody.
- **Time**: `timeout`, and no more than the hook's share of the kit's `process_timeout` ({process_timeout:g} s).
- **Failure**: a hook that raises, hangs or answers nonsense is told as [`hook_error`](events.md) and what it did is
  taken back. With `on_error="allow"` the event passes and the next hook is asked, with `on_error="block"` it is
  blocked.

## Observing hooks

All others, whatever they are registered as.

- **When**: after the commit, beside the way of the message. They begin in their order and run side by side; they hold
  up nobody.
- **Answer**: none; what they return is ignored. What they send is a message of its own, one step deeper in the chain.
- **Time**: `timeout`, then they are cancelled.
- **Failure**: a log line and [`hook_error`](events.md); nothing is repeated. At most once, also over a crash.

With `durable=True` each call is owed with the commit, in the order of the room, and made again until the function
returns, also after a crash: at least once, with growing pauses, and dead after {attempts} attempts (`roomkit dead`).
The event's id tells a repeat; what the hook sends through the kit is said once.

## Moments of the core
"""

_TAKEN: Final = """## Names that are taken

Nothing in this repository brings these moments about: a hook at one of them is accepted with a warning and waits for a
plugin that does. Any other name of lowercase letters, digits and underscores is a trigger, too.
"""


def page() -> str:
    """The page.

    Raises:
        SystemExit: A moment is not documented.
    """
    told = moments()
    lines = [_HEAD.format(**_defaults())]
    lines += table(("trigger", "when", "a hook gets", "and may"), _own(told))
    lines.append(_TAKEN)
    taken = [[f"`{name}`", cell(said[""])] for name, said in told.items() if name not in FIRED]
    lines += table(("trigger", "when"), taken)
    return "\n".join(lines)


def moments() -> Mapping[str, Mapping[str, str]]:
    """What is said of each moment, by its value: when, what a hook gets, what it may.

    Raises:
        SystemExit: Something of it is missing.
    """
    told = {name.lower(): sections(text) for name, text in attribute_texts(HookTrigger).items() if name.isupper()}
    for name in sorted(HookTrigger.known):
        said = told.get(name, {})
        needed = ["", *(["Gets"] if name in FIRED else []), *(["May"] if name in DECIDING else [])]
        if missing := [word or "when" for word in needed if not said.get(word)]:
            raise SystemExit(f"HookTrigger.{name.upper()} does not say below its name: {', '.join(missing)}")
    return told


def _own(told: Mapping[str, Mapping[str, str]]) -> Iterator[list[str]]:
    for name, said in told.items():
        if name in FIRED:
            yield [f"`{name}`", cell(said[""]), cell(said["Gets"]), cell(said.get("May", "Observe."))]


def _defaults() -> dict[str, Any]:
    hook = {name: parameter.default for name, parameter in inspect.signature(RoomKit.hook).parameters.items()}
    kit = inspect.signature(RoomKit).parameters
    return {
        **hook,
        "execution": hook["execution"].value,
        "deciding": ", ".join(f"`{name}`" for name in sorted(DECIDING)),
        "process_timeout": kit["process_timeout"].default,
        "attempts": MAX_ATTEMPTS,
    }


if __name__ == "__main__":
    raise SystemExit(finish("hooks", page, sys.argv[1:]))
