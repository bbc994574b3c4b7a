"""What the pump does again and again beside looking at its pools."""

from __future__ import annotations

from functools import partial

from roomkit_core.engine.flow.gate import Gate
from roomkit_core.engine.flow.gates import PATIENCE, Gates
from roomkit_core.engine.flow.holdings import Holdings
from roomkit_core.engine.flow.notices import Notices
from roomkit_core.engine.flow.pump import Chore
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.signs import read_pauses
from roomkit_core.errors import StoreError
from roomkit_core.hooks.node import inside
from roomkit_core.interfaces.store import Cutoffs
from roomkit_core.models.retention import Retention

EXPIRE_EVERY = 5.0
PURGE_EVERY = 60.0
PROBE_EVERY = 1.0
READY_EVERY = 1.0
PAUSES_EVERY = 1.0
NOTICES_EVERY = 1.0
PURGE_LIMIT = 1_000


def chores(ports: Ports, holdings: Holdings, gates: Gates, retention: Retention | None) -> tuple[Chore, ...]:
    """The chores of a kit."""

    async def expire() -> None:
        await ports.store.expire(ports.time())

    is_forgetting = False

    async def forget() -> None:
        nonlocal is_forgetting
        cutoffs = _cutoffs(retention or Retention(), ports.time())
        try:
            while await ports.store.purge(cutoffs, limit=PURGE_LIMIT) >= PURGE_LIMIT and not ports.background.draining:
                pass
        finally:
            is_forgetting = False

    async def purge() -> None:
        """Beside the pump: after a long stop there is much to forget, and leases end meanwhile (PROTOCOL L14)."""
        nonlocal is_forgetting
        if not is_forgetting:
            is_forgetting = True
            ports.background.watch(forget)

    async def probe() -> None:
        """A store that could not write is asked whether it can again, so that the kit turns ready by itself."""
        if ports.store.failure is None:
            return
        try:
            await ports.store.probe()
        except StoreError:
            return

    async def ask(gate: Gate) -> None:
        with inside(ports.kit, "channel"):
            await gate.ask_ready(PATIENCE)

    async def ready() -> None:
        """Beside the pump, which waits for no channel: who is slow to answer holds up nobody else (PROTOCOL L14)."""
        for gate in gates.to_ask():
            ports.background.watch(partial(ask, gate))

    async def obey() -> None:
        """What an operator has paused may have been said beside this kit."""
        orders = gates.orders
        pauses = await read_pauses(ports.store)
        if gates.orders == orders:
            gates.set_paused(pause.channel_id for pause in pauses)

    return (
        Chore("heartbeat", ports.lease / 3, holdings.renew),
        Chore("expire", EXPIRE_EVERY, expire),
        Chore("purge", PURGE_EVERY, purge),
        Chore("probe", PROBE_EVERY, probe),
        Chore("ready", READY_EVERY, ready),
        Chore("pauses", PAUSES_EVERY, obey, is_first=True),
        Chore("notices", NOTICES_EVERY, Notices(ports, gates).publish),
    )


def _cutoffs(keep: Retention, now: int) -> Cutoffs:
    settled, dead, bodies, keys, blocked = (
        now - round(seconds * 1_000_000) for seconds in (keep.settled, keep.dead, keep.bodies, keep.keys, keep.blocked)
    )
    return Cutoffs(settled, dead, bodies, keys, blocked)
