"""Telling the commands beside a kit what keeps its channels closed, through the store.

Nothing is written while everything is open, and little while it is not: a notice is renewed three times in its life,
and what is over in a moment (a rate, channels that are busy) is left to run out.
"""

from __future__ import annotations

from roomkit_core.engine.flow.gate import Gate
from roomkit_core.engine.flow.gates import Gates
from roomkit_core.engine.pure.facts import Obstacle
from roomkit_core.engine.state.ports import Ports
from roomkit_core.engine.state.signs import NOTICE_LIFE, write_notices

RENEW_AFTER = NOTICE_LIFE // 3

_PASSING = frozenset({"waits.rate"})
_UNTOLD = frozenset({"waits.busy", "waits.paused", "waits.not_registered"})
"""What is over at once, and what the store says itself."""


class Notices:
    """The notices of one kit.

    Args:
        ports: The surroundings.
        gates: What is told about.
    """

    def __init__(self, ports: Ports, gates: Gates) -> None:
        self._ports = ports
        self._gates = gates
        self._told: dict[str, tuple[str, int]] = {}  # channel to code and moment

    async def publish(self) -> None:
        """Write what has changed since it was told last."""
        now = self._ports.time()
        found = {}
        for gate in self._gates.registered():
            obstacle = obstacle_of(gate, self._ports)
            if obstacle is not None and obstacle.code not in _UNTOLD:
                found[gate.channel.channel_id] = obstacle
        news = {
            channel_id: obstacle for channel_id, obstacle in found.items() if self._is_news(channel_id, obstacle, now)
        }
        over = [channel_id for channel_id in self._told if channel_id not in found]
        gone = [channel_id for channel_id in over if self._told[channel_id][0] not in _PASSING]
        if news or gone:
            await write_notices(self._ports.store, self._ports.owner, news, gone, now)
        for channel_id in over:
            if channel_id in gone or now - self._told[channel_id][1] > NOTICE_LIFE:
                del self._told[channel_id]
        self._told.update((channel_id, (obstacle.code, now)) for channel_id, obstacle in news.items())

    def _is_news(self, channel_id: str, obstacle: Obstacle, now: int) -> bool:
        code, at = self._told.get(channel_id, ("", 0))
        return code != obstacle.code or now - at >= RENEW_AFTER


def obstacle_of(gate: Gate, ports: Ports) -> Obstacle | None:
    """What keeps a gate closed, until when, and more in words."""
    code = gate.obstacle
    if code is None:
        return None
    opens_at = gate.opens_at()
    until = None if opens_at is None else ports.began + round(opens_at * 1_000_000)
    return Obstacle(code, until, _detail(gate, code))


def _detail(gate: Gate, code: str) -> str:
    channel = gate.channel
    if code == "waits.breaker":
        return f"{gate.breaker.failures} calls in a row failed"
    if code == "waits.busy":
        return f"{channel.max_in_flight} at once"
    if code == "waits.rate" and channel.rate_limit is not None:
        limits = channel.rate_limit.model_dump(exclude_none=True)
        return ", ".join(f"{value:g} a {name.removeprefix('max_per_')}" for name, value in limits.items())
    return ""
