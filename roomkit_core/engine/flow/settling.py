"""Recording what became of a row: tried until it is recorded, or until somebody else has the row.

After an error of the store the *record* is repeated, never the call (PROTOCOL 4): a full disk must not make anybody
send twice. Meanwhile the lane stands still: nothing of it starts before the record is durable (L1).
"""

from __future__ import annotations

import logging

from anyio import CancelScope

from roomkit_core.engine.flow.holdings import Hold
from roomkit_core.engine.flow.work import Verdict
from roomkit_core.engine.state.ports import Ports
from roomkit_core.errors import StoreError

log = logging.getLogger("roomkit.flow")

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


async def settle(ports: Ports, hold: Hold, verdict: Verdict) -> bool:
    """Record the verdict, and what is unrecorded of the same tenure before it; also where the caller is cancelled.

    Returns:
        False if the row is not this tenure's any more, or if the kit was closed before the store took the record; then
        it stays in ``hold.unrecorded``, for the last try of :meth:`Runners.release`.
    """
    hold.unrecorded.append(verdict)
    is_ours, pause = True, 0.0
    cancelled: BaseException | None = None
    with CancelScope(shield=True):
        while is_ours and hold.unrecorded:
            try:
                if pause:
                    await ports.clock.sleep_until(ports.clock.monotonic() + pause)
                is_ours = await _record_first(ports, hold)
            except StoreError:
                log.warning("the outcome of row %s could not be recorded", hold.row_id, exc_info=True)
                if ports.background.closed:
                    break
                pause = min(max(pause * 2, SHORTEST_PAUSE), LONGEST_PAUSE)
            except BaseException as error:
                if isinstance(error, Exception) or cancelled is not None:
                    raise
                cancelled = error  # asyncio's own cancel() gets through the shield; it comes once
    if cancelled is not None:
        raise cancelled
    if not is_ours:
        log.info("row %s is not ours any more", hold.row_id)
    return is_ours and not hold.unrecorded


async def _record_first(ports: Ports, hold: Hold) -> bool:
    outcome, due_in, parts_done = hold.unrecorded[0]
    is_ours = await ports.store.settle(hold.row_id, hold.token, outcome, due_in=due_in, parts_done=parts_done)
    if is_ours:
        del hold.unrecorded[0]
    else:
        hold.unrecorded.clear()
    return is_ours
