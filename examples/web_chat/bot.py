"""The bot of the demo. What it owes survives ``kill -9``: its answers are durable, and the kit has a file."""

from __future__ import annotations

import random
from datetime import datetime

from roomkit_core import HookExecution, HookTrigger, RoomContext, RoomEvent, RoomKit, TextContent, hook

BOT = "bot"  # its channel, in roomkit.toml


@hook(HookTrigger.ON_CHANNEL_ATTACHED, HookExecution.ASYNC, channel_ids=[BOT])
async def greet(event: RoomEvent, context: RoomContext, kit: RoomKit) -> None:
    greeting = TextContent(body="I am the bot of this room. Say hello, ask for the time, or roll the dice.")
    key = f"greeting:{event.room_id}"
    await kit.send_event(event.room_id, BOT, greeting, metadata={"name": "Bot"}, idempotency_key=key)


@hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, durable=True)
async def answer(event: RoomEvent, context: RoomContext, kit: RoomKit) -> None:
    if event.source.channel_id != BOT and isinstance(event.content, TextContent):
        reply = TextContent(body=say(event.content.body, event.metadata.get("name") or "stranger"))
        await kit.send_event(event.room_id, BOT, reply, metadata={"name": "Bot"}, idempotency_key=f"to:{event.id}")


def say(text: str, name: str) -> str:
    words = set(text.lower().replace("?", " ").replace("!", " ").replace(",", " ").split())
    if words & {"hello", "hi", "hey"}:
        return f"Hello, {name}! Ask me for the time, or tell me to roll the dice."
    if "time" in words:
        return f"It is {datetime.now().astimezone():%H:%M:%S}."
    if words & {"roll", "dice"}:
        return f"{name} rolled a {random.randint(1, 6)} and a {random.randint(1, 6)}."
    return f"You said: {text}"
