"""The life of one connection: who it is, what it says, and how it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from anyio import CancelScope, create_task_group, fail_after, move_on_after

from roomkit_core.errors import RoomKitError
from roomkit_core.interfaces.auth import SUBPROTOCOL, offers_subprotocol
from roomkit_core.models.message import InboundMessage
from roomkit_websocket import protocol
from roomkit_websocket.admission import WRITE, Visitor, admit, check_organization
from roomkit_websocket.clients import ClientGone
from roomkit_websocket.protocol import Join, Ping, ProtocolError, Send
from roomkit_websocket.reading import Reading
from roomkit_websocket.stepping import SendTimeout

if TYPE_CHECKING:
    from roomkit_websocket.admission import Scope
    from roomkit_websocket.app import Receive, Sender, WebSocketApp

log = logging.getLogger("roomkit.websocket")

COME_BACK = 1013  # close code "try again later"
STAY_AWAY = 1008  # close code "policy violation": the same again would be refused again
UNKNOWN = 4401  # as HTTP's 401: the server does not know who this is
LAST_WORDS = 1.0  # seconds for saying goodbye to somebody who may not be listening


class Session:
    """One connection, from its handshake to its end."""

    def __init__(self, app: WebSocketApp, scope: Scope, receive: Receive, send: Sender) -> None:
        self._app = app
        self._channel = app.channel
        self._scope = scope
        self._receive = receive
        self._transmit = send
        self._work = CancelScope()
        self._ending: RoomKitError | None = None
        self._errors = 0

    async def run(self) -> None:
        """Serve the client until it leaves, or until there is a reason to close the connection."""
        try:
            if (await self._receive())["type"] != "websocket.connect":
                return
            await self._send({"type": "websocket.accept", "subprotocol": self._subprotocol()})
            join = await self._expect_join()
            if join is not None:
                visitor = await admit(self._scope, join, self._app.authenticate, self._app.open_room)
                await self._check_organization(visitor, join.room)
                await self._serve(join, visitor)
        except ClientGone:
            return
        except Exception as error:
            self._ending = _explained(error)
        if self._ending is not None:
            await self._close(self._ending)

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            await self._transmit(message)
        except OSError as error:  # what ASGI says of a client that has disconnected
            raise ClientGone from error

    def _subprotocol(self) -> str | None:
        return SUBPROTOCOL if offers_subprotocol(self._scope) else None

    # ------------------------------------------------------------------------------------------------ coming in

    async def _expect_join(self) -> Join | None:
        """The first message; None if the client left instead."""
        try:
            with fail_after(self._app.join_timeout):
                text = await self._next_text()
        except TimeoutError:
            raise ProtocolError("you did not join in time", code="protocol.join_timeout", retryable=True) from None
        if text is None:
            return None
        said = protocol.parse(text)
        if not isinstance(said, Join):
            raise ProtocolError("the first message must be a join", code="protocol.not_joined")
        return said

    async def _next_text(self) -> str | None:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return None
        return message.get("text") or ""  # bytes are no message, and neither is an empty text

    async def _serve(self, join: Join, visitor: Visitor) -> None:
        reading = Reading(self._app, join, visitor, self._send, self._ended)
        self._channel.add_client(reading.client)
        facts: dict[str, Any] = {
            "room_id": join.room,
            "channel_id": self._channel.channel_id,
            "data": {"connection_id": reading.client.id},
        }
        self._app.kit.emit("channel_connected", **facts)
        try:
            async with create_task_group() as tasks:
                self._work = tasks.cancel_scope
                tasks.start_soon(self._read, reading)
                await self._listen(reading, visitor)
                tasks.cancel_scope.cancel()
        finally:
            self._channel.remove_client(reading.client)
            self._app.kit.emit("channel_disconnected", **facts)

    async def _read(self, reading: Reading) -> None:
        try:
            await reading.run()
        except SendTimeout:
            self._ended("connection.too_slow")
        except ClientGone:
            self._ended(None)
        except Exception as error:
            self._end(_explained(error))

    async def _check_organization(self, visitor: Visitor, room_id: str) -> None:
        if visitor.organization_id is not None:
            check_organization(visitor, await self._app.kit.get_room(room_id))

    # ------------------------------------------------------------------------------------------------ what it says

    async def _listen(self, reading: Reading, visitor: Visitor) -> None:
        while (text := await self._next_text()) is not None:
            try:
                said = protocol.parse(text)
                if isinstance(said, Join):
                    raise ProtocolError("you joined already", code="protocol.joined")
                answer = protocol.pong() if isinstance(said, Ping) else await self._bring_in(said, reading, visitor)
            except ProtocolError as error:
                answer = protocol.error_message(error, message_id=protocol.message_id(text))
                self._errors += 1
            if self._errors > protocol.MAX_ERRORS:
                self._end(ProtocolError("too much of what you sent was refused", code="protocol.too_many_errors"))
                return
            await self._channel.notify(reading.client, answer)

    async def _bring_in(self, said: Send, reading: Reading, visitor: Visitor) -> dict[str, Any]:
        """Hand a message to the kit; the answer for the client once it is committed."""
        if WRITE not in visitor.scopes:
            return protocol.error_message(RoomKitError("you may only read", code="auth.scope"), message_id=said.id)
        try:
            message = InboundMessage(
                channel_id=self._channel.channel_id,
                sender_id=visitor.participant_id,
                content=said.said,
                idempotency_key=said.id,
                metadata={**visitor.metadata, "name": visitor.name},
            )
            await self._check_organization(visitor, reading.room_id)  # it may have been made anew for others
            result = await self._app.kit.process_inbound(message, room_id=reading.room_id, wait="committed")
        except Exception as error:
            return protocol.error_message(_explained(error), message_id=said.id)
        return protocol.ack(said.id, result)

    # ------------------------------------------------------------------------------------------------ the end

    def _ended(self, code: str | None) -> None:
        """The channel dropped the client, with a code; or the client is gone, without."""
        if code is None:
            self._work.cancel()
        else:
            self._end(RoomKitError("the connection ends; come back with your cursor", code=code, retryable=True))

    def _end(self, error: RoomKitError) -> None:
        self._ending = self._ending or error
        self._work.cancel()

    async def _close(self, error: RoomKitError) -> None:
        with move_on_after(LAST_WORDS):
            try:
                await self._send(protocol.error_message(error, fatal=True))
                await self._send({"type": "websocket.close", "code": _close_code(error), "reason": error.code})
            except (ClientGone, RuntimeError):  # it left first; a server may call that an error in the sequence
                log.debug("the client left before it could be told %s", error.code)


def _close_code(error: RoomKitError) -> int:
    if error.code == "auth.refused":
        return UNKNOWN
    return COME_BACK if error.retryable else STAY_AWAY


def _explained(error: Exception) -> RoomKitError:
    """The error as a client may see it; what was not raised on purpose is logged and not shown."""
    if isinstance(error, RoomKitError):
        return error
    log.error("serving a client failed", exc_info=error)
    return RoomKitError("something went wrong on the server", code="server.error", retryable=True)
