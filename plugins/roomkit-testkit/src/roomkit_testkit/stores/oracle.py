"""Random work by two kits, looked at from outside after every step: claims are as a plain reading of the table says."""

from __future__ import annotations

import random
from typing import Any

import pytest

from roomkit_core.interfaces.store import ConversationStore, WorkFilter
from roomkit_core.models.changes import Withdrawal
from roomkit_core.models.work import OPEN_STATES, Outcome, WorkKind, WorkRow, WorkState
from roomkit_testkit.stores.clock import ManualClock
from roomkit_testkit.stores.contract import StoreContract
from roomkit_testkit.stores.makers import Writer, delivery
from roomkit_testkit.stores.reference import ready_at

STEPS = 150
LANES = [(), ("a",), ("b",), ("c",)]
CHANNELS = ["sms", "mail"]
OUTCOMES = [WorkState.SENT, WorkState.FAILED, WorkState.PENDING, WorkState.UNKNOWN, WorkState.IN_FLIGHT]


def heads(rows: list[WorkRow]) -> list[WorkRow]:
    """The open rows that are first in their lane."""
    first: dict[tuple[str, ...], WorkRow] = {}
    for row in sorted((row for row in rows if row.is_open), key=lambda row: row.seq):
        first.setdefault(row.lane or (row.id, "has no lane"), row)
    return list(first.values())


def claimable(rows: list[WorkRow], now: int) -> list[str]:
    """Ids of what can be claimed, those that have waited longest first: read off the table, without any index."""
    due = []
    for row in heads(rows):
        at = ready_at(row)
        if at is not None and at <= now:
            due.append((at, row.seq, row.id))
    return [row_id for _, _, row_id in sorted(due)]


class Chaos:
    """Does one thing after the other to the rows of one room."""

    def __init__(self, seed: int, store: ConversationStore, clock: ManualClock, writer: Writer) -> None:
        self.random = random.Random(seed)
        self.store, self.clock, self.writer = store, clock, writer
        self.made = 0

    async def rows(self) -> list[WorkRow]:
        return await self.store.list_work(WorkFilter(), limit=10_000)

    async def step(self) -> None:
        choices = (
            self.owe,
            self.owe,
            self.claim,
            self.claim,
            self.settle,
            self.settle,
            self.renew,
            self.wait,
            self.withdraw,
            self.cancel,
            self.expire,
            self.settle_late,
        )
        await self.random.choice(choices)()

    async def owe(self) -> None:
        pick = self.random.choice
        rows = []
        for _ in range(self.random.randint(1, 3)):
            self.made += 1
            rows.append(
                delivery(
                    pick(LANES),
                    row_id=f"{self.made:04}",
                    state=pick([WorkState.IN_FLIGHT, WorkState.PENDING]),
                    channel_id=pick(CHANNELS),
                    kind=pick([WorkKind.DELIVERY, WorkKind.ASK]),
                    event_id=pick(["x", "y"]),
                    expires_at=pick([None, self.clock.microseconds + 50_000_000]),
                    quiet=pick([0, 0, 20_000_000]),
                )
            )
        before = await self.rows()
        committed = await self.writer.write(work=tuple(rows), lease=pick([5.0, 60.0]), owner=pick(["kit-1", "kit-2"]))
        busy = {row.lane for row in before if row.is_open and row.lane}
        granted = []
        for row in rows:
            if row.state is WorkState.IN_FLIGHT and row.lane not in busy:
                granted.append(row.id)
            if row.lane:
                busy.add(row.lane)
        assert [row.id for row in committed.claims] == granted

    async def claim(self) -> None:
        expected = claimable(await self.rows(), self.clock.microseconds)
        limit = self.random.choice([1, 2, 100])
        options: dict[str, Any] = {}
        if self.random.random() < 0.3:
            lanes = self.random.sample(LANES, 2)
            known = {row.id: row for row in await self.rows()}
            expected = [row_id for row_id in expected if known[row_id].lane and known[row_id].lane in lanes]
            options = {"lanes": lanes}
        before = {row.id: row for row in await self.rows()}
        claimed = await self.store.claim("kit-2", lease=self.random.choice([5.0, 60.0]), limit=limit, **options)
        assert [row.id for row in claimed] == expected[:limit]
        for row in claimed:
            former = before[row.id]
            taken_over = former.state is WorkState.IN_FLIGHT
            assert row.token == former.token + 1
            assert (row.attempts, row.takeovers) == (former.attempts + (not taken_over), former.takeovers + taken_over)
            assert row.maybe_sent == (former.maybe_sent or former.state is not WorkState.PENDING)

    async def held(self) -> WorkRow | None:
        held = [row for row in await self.rows() if row.state is WorkState.IN_FLIGHT]
        return self.random.choice(held) if held else None

    async def settle(self) -> None:
        row = await self.held()
        if row is not None:
            outcome = Outcome(self.random.choice(OUTCOMES), untouched=self.random.random() < 0.2)
            assert await self.store.settle(row.id, row.token, outcome, due_in=self.random.choice([None, 0, 0, 3, 40]))

    async def settle_late(self) -> None:
        row = self._any_of(await self.rows())
        if row is not None:
            stale = row.token - 1 if row.state is WorkState.IN_FLIGHT else row.token
            assert not await self.store.settle(row.id, stale, Outcome(WorkState.SENT))

    def _any_of(self, rows: list[WorkRow]) -> WorkRow | None:
        return self.random.choice(rows) if rows else None

    async def renew(self) -> None:
        row = await self.held()
        if row is not None:
            assert await self.store.renew([(row.id, row.token), (row.id, row.token + 1)], lease=7.0) == [row.id]

    async def wait(self) -> None:
        self.clock.advance(self.random.choice([0.5, 4.0, 30.0]))

    async def withdraw(self) -> None:
        if self.random.random() < 0.3:
            await self.writer.write(withdrawals=(Withdrawal("detached", event_id="x"),))

    async def cancel(self) -> None:
        row = self._any_of(await self.rows())
        if row is not None:
            await self.writer.write(expected=None, withdrawals=(Withdrawal("cancelled", row_id=row.id),))

    async def expire(self) -> None:
        now = self.clock.microseconds
        over = [
            row
            for row in await self.rows()
            if row.is_open and row.state is not WorkState.IN_FLIGHT and row.expires_at and row.expires_at <= now
        ]
        assert await self.store.expire(now) == len(over)


class OracleSuite(StoreContract):
    @pytest.mark.parametrize("seed", range(20))
    async def test_whatever_two_kits_do_the_lanes_keep_their_order(
        self, store: ConversationStore, clock: ManualClock, writer: Writer, seed: int
    ) -> None:
        await writer.create()
        chaos = Chaos(seed, store, clock, writer)
        final: dict[str, WorkRow] = {}

        for _ in range(STEPS):
            await chaos.step()

            rows = await chaos.rows()
            head_ids = {row.id for row in heads(rows)}
            assert all(row.id in head_ids for row in rows if row.state in OPEN_STATES - {WorkState.PENDING})
            assert all(row == final.get(row.id, row) for row in rows if not row.is_open)
            final = {row.id: row for row in rows if not row.is_open}
        assert len(final) > 10
