"""The garbage collector of a process that does nothing but serve a kit."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 50)
"""A message makes a few hundred objects and no cycle: young ones are looked at after a burst, not after each.

The last two are those of fewer looks at what lives long, which is what makes a pause long.
"""


def settle(*, is_replaced: bool = False) -> None:
    """Leave alone what is there once the kit has started: no collection looks at it again. For ``roomkit serve`` only.

    Args:
        is_replaced: Whether parts of it will be replaced, as the modules of a bot are while it is written. Then nothing
            is left alone, because what is left alone is never freed if it is part of a cycle.
    """
    gc.set_threshold(*THRESHOLDS)
    gc.collect()
    if not is_replaced:
        gc.freeze()
