"""A chat room in the browser, with a bot: ``make demo``, or ``python -m examples.web_chat``.

The bot is the hook ``answer``; what it owes survives ``kill -9``, because it is durable and the kit has a file. The
rest is wiring: two plugins from the kit's catalog, and who may open a room.
"""

from __future__ import annotations

import os
import random
from datetime import datetime

from roomkit_core import (
    Access,
    Channel,
    ChannelType,
    HookExecution,
    HookTrigger,
    InMemoryStore,
    RoomContext,
    RoomEvent,
    RoomKit,
    SQLiteStore,
    TextContent,
)

path = os.environ.get("ROOMKIT_STORE", "room.db")
kit = RoomKit(InMemoryStore() if path == "memory" else SQLiteStore(path), plugins=["websocket", "server"])


class BotChannel(Channel):
    """The bot's place in a room: it says something there, and nothing is brought to it."""

    channel_type = ChannelType.BOT


@kit.hook(HookTrigger.AFTER_BROADCAST, HookExecution.ASYNC, durable=True)
async def answer(event: RoomEvent, context: RoomContext) -> None:
    if event.source.channel_id != "bot" and isinstance(event.content, TextContent):
        reply = TextContent(body=say(event.content.body, event.metadata.get("name") or "stranger"))
        await kit.send_event(event.room_id, "bot", reply, metadata={"name": "Bot"}, idempotency_key=f"to:{event.id}")


def say(text: str, name: str) -> str:
    words = set(text.lower().replace("?", " ").replace("!", " ").replace(",", " ").split())
    if words & {"hello", "hi", "hey"}:
        return f"Hello, {name}! Ask me for the time, or tell me to roll the dice."
    if "time" in words:
        return f"It is {datetime.now().astimezone():%H:%M:%S}."
    if words & {"roll", "dice"}:
        return f"{name} rolled a {random.randint(1, 6)} and a {random.randint(1, 6)}."
    return f"You said: {text}"


async def open_room(room_id: str, visitor: object) -> None:
    """Whoever asks for a room gets it, with the bot in it."""
    await kit.create_room(room_id, exist_ok=True)
    bound = {binding.channel_id for binding in await kit.list_bindings(room_id)}
    if "web" not in bound:
        await kit.attach_channel(room_id, "web")
    if "bot" not in bound:
        await kit.attach_channel(room_id, "bot", access=Access.WRITE_ONLY)
        greeting = TextContent(body="I am the bot of this room. Say hello, ask for the time, or roll the dice.")
        await kit.send_event(
            room_id, "bot", greeting, metadata={"name": "Bot"}, wait="committed", idempotency_key=f"greeting:{room_id}"
        )


def main() -> None:
    web = kit.plugins.resolve("channel", "websocket")("web")
    kit.register_channel(web)
    kit.register_channel(BotChannel("bot"))
    app = kit.plugins.resolve("server", "asgi")(kit, websocket=web.app(kit, open_room=open_room))
    kit.plugins.resolve("server", "uvicorn")(app, port=int(os.environ.get("PORT", "8080")))


if __name__ == "__main__":
    main()
