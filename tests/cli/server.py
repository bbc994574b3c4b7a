"""A kit in a process of its own, for tests: it says what it reads line by line, and prints what its channel sends.

``python -m tests.cli.server room.db``: ``say TEXT`` brings a message in, ``fail`` and ``send`` switch the provider.
"""

from __future__ import annotations

import sys
from functools import partial

import anyio

from roomkit_core import Delivery, Receipt, RoomKit, SQLiteStore
from tests.support.channels import LiveProbe, ScriptedChannel, message
from tests.support.kits import make_room


def tell(text: str) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Loud(ScriptedChannel):
    """Prints each attempt."""

    async def send(self, delivery: Delivery) -> Receipt:
        receipt = await super().send(delivery)
        tell(f"{self.behave} {delivery.parts[0].body}")
        return receipt


async def serve(path: str) -> None:
    """Run until the input ends."""
    sms = Loud("sms")
    async with RoomKit(SQLiteStore(path)) as kit:
        kit.register_channel(LiveProbe())
        kit.register_channel(sms)
        await make_room(kit, "room", "live", sms)
        tell("ready")
        while line := (await anyio.to_thread.run_sync(sys.stdin.readline)).strip():
            word, _, text = line.partition(" ")
            if word == "say":
                await kit.process_inbound(message(text), room_id="room", wait="committed")
                tell("said")
            else:
                sms.behave = word
                tell("switched")


if __name__ == "__main__":
    anyio.run(partial(serve, sys.argv[1]))
