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

LONGEST_PAUSE = 5.0


async def settle(ports: Ports, hold: Hold, verdict: Verdict) -> bool:
    """Record the verdict, also where the caller is being cancelled.

    Returns:
        False if the row is not this tenure's any more, or if the kit was closed before the store took the record.
    """
    pause = 0.1
    is_ours: bool | None = None
    cancelled: BaseException | None = None
    with CancelScope(shield=True):
        while is_ours is None:
            try:
                is_ours = await ports.store.settle(
                    hold.row_id, hold.token, verdict.outcome, due_in=verdict.due_in, parts_done=verdict.parts_done
                )
            except StoreError:
                log.warning("the outcome of row %s could not be recorded", hold.row_id, exc_info=True)
                if ports.background.closed:
                    log.error("the outcome of row %s is lost; its lease ends and recovery takes over", hold.row_id)
                    return False
                await ports.clock.sleep_until(ports.clock.monotonic() + pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            except BaseException as error:
                if isinstance(error, Exception) or cancelled is not None:
                    raise
                cancelled = error  # asyncio's own cancel() gets through the shield; it comes once
    if cancelled is not None:
        raise cancelled
    if not is_ours:
        log.info("row %s is not ours any more", hold.row_id)
    return bool(is_ours)
