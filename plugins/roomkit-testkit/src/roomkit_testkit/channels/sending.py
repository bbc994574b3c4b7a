"""A send ends in a receipt that is true, whatever the provider says (T14, T20)."""

from __future__ import annotations

import logging
import re
import socket
from typing import Final

import anyio
import pytest

from roomkit_core import Channel, Receipt, RoomKit, TextContent
from roomkit_testkit.channels.contract import ID, ROOM, ChannelContract
from roomkit_testkit.channels.provider import HANG_UP, SILENCE, Answer, HTTPProvider, Request

GARBAGE: Final = {
    "nothing": Answer(200),
    "no content": Answer(204),
    "no json": Answer(200, b"<html>hello</html>"),
    "half a json": Answer(200, b'{"id":'),
    "null": Answer(200, b"null"),
    "a list": Answer(200, b"[]"),
    "an empty object": Answer(200, b"{}"),
    "no utf-8": Answer(200, b"\xff\xfe\x00"),
    "no gzip": Answer(200, b"hello", {"content-encoding": "gzip"}),
    "a redirect to nowhere": Answer(302, b"", {"location": "http://127.0.0.1:1/"}),
}
REFUSALS: Final = {
    "400 without a reason": Answer(400),
    "401 in html": Answer(401, b"<html>who are you?</html>"),
    "403 with null": Answer(403, b"null"),
    "404": Answer(404, b"not found"),
    "413 with a list": Answer(413, b"[1, 2]"),
    "418 with another object": Answer(418, {"error": {"error": [None]}}),
}
TROUBLE: Final = {
    "500": Answer(500),
    "502 in html": Answer(502, b"<html>bad gateway</html>"),
    "503 come back some day": Answer(503, b"", {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}),
    "504": Answer(504, b"null"),
}
TOO_MANY: Final = {
    "429": Answer(429),
    "429 soon": Answer(429, b"slow down", {"retry-after": "soon"}),
    "429 in a while": Answer(429, {}, {"retry-after": "7"}),
}
LOST: Final = {"hung up": HANG_UP, "cut in the middle": Answer(200, b'{"id": 1', cut=True)}

CODE: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


def each(answers: dict[str, Answer]) -> pytest.MarkDecorator:
    """A test for each of them."""
    return pytest.mark.parametrize("answer", list(answers.values()), ids=list(answers))


def is_final_failure(receipt: Receipt) -> bool:
    """Whether it says that nobody got it and nobody will."""
    return receipt.state == "failed" and receipt.error is not None and not receipt.error.retryable


class SendingSuite(ChannelContract):
    """Receipts."""

    async def told(
        self, channel: Channel, provider: HTTPProvider, answer: Answer, caplog: pytest.LogCaptureFixture
    ) -> Receipt:
        """The receipt for an answer, as well formed as any; and neither it nor the log has a secret."""
        provider.answer = answer
        with caplog.at_level(logging.WARNING), caplog.at_level(logging.DEBUG, "roomkit"):
            receipt = await self.send(channel)
        assert isinstance(receipt, Receipt)
        assert receipt.state in ("sent", "partial", "suppressed", "failed", "unknown")
        assert receipt.retry_after is None or receipt.retry_after >= 0
        if receipt.state in ("failed", "unknown"):
            assert receipt.error is not None
            assert CODE.fullmatch(receipt.error.code), f"{receipt.error.code} is not of the form area.reason"
            assert receipt.error.message, "people want to know why"
        for secret in self.secrets(provider.url):
            assert secret not in repr(receipt)
            assert secret not in caplog.text
        return receipt

    # ------------------------------------------------------------------------------------------------ what is known

    async def test_what_the_provider_takes_is_sent_to_the_address_with_its_id(
        self, kit: RoomKit, channel: Channel, provider: HTTPProvider, caplog: pytest.LogCaptureFixture
    ) -> None:
        receipt = await self.told(channel, provider, self.accepted, caplog)

        assert (receipt.state, receipt.error) == ("sent", None)
        assert receipt.provider_ids, "without the provider's id no later report finds the delivery"
        assert all(receipt.provider_ids)
        [request] = provider.requests
        assert self.address in request.path or self.address.encode() in request.body

    async def test_what_it_refuses_for_good_is_failed_and_what_it_refuses_now_is_tried_again(
        self, kit: RoomKit, channel: Channel, provider: HTTPProvider, caplog: pytest.LogCaptureFixture
    ) -> None:
        if self.refused is not None:
            assert is_final_failure(await self.told(channel, provider, self.refused, caplog))
        if self.busy is not None:
            receipt = await self.told(channel, provider, self.busy, caplog)
            assert receipt.state == "failed"
            assert not is_final_failure(receipt)

    @each(TOO_MANY)
    async def test_too_many_requests_means_later(
        self,
        answer: Answer,
        kit: RoomKit,
        channel: Channel,
        provider: HTTPProvider,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        receipt = await self.told(channel, provider, answer, caplog)

        assert receipt.state != "sent"
        assert not is_final_failure(receipt)

    # ------------------------------------------------------------------------------------------------ what is not

    @each({**GARBAGE, **REFUSALS})
    async def test_an_answer_without_sense_is_a_receipt_and_no_raise(
        self,
        answer: Answer,
        kit: RoomKit,
        channel: Channel,
        provider: HTTPProvider,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        receipt = await self.told(channel, provider, answer, caplog)

        if not 200 <= answer.status < 300:
            assert receipt.state != "sent"
        elif is_final_failure(receipt):
            pytest.fail("the provider may have taken it: that is unknown, not failed")

    @each({**TROUBLE, **LOST})
    async def test_what_may_have_been_taken_is_neither_sent_nor_failed_for_good(
        self,
        answer: Answer,
        kit: RoomKit,
        channel: Channel,
        provider: HTTPProvider,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        receipt = await self.told(channel, provider, answer, caplog)

        assert receipt.state in ("unknown", "failed")
        assert not is_final_failure(receipt)
        if answer in LOST.values():
            assert receipt.state == "unknown", "the request arrived, and nobody knows what became of it"

    async def test_a_provider_that_does_not_listen_is_a_receipt_too(
        self, caplog: pytest.LogCaptureFixture, provider: HTTPProvider
    ) -> None:
        with socket.socket() as bound:  # and not listening: connections are refused
            bound.bind(("127.0.0.1", 0))
            channel = self.make(f"http://127.0.0.1:{bound.getsockname()[1]}")
            kit = RoomKit()
            kit.register_channel(channel)
            async with kit:
                receipt = await self.told(channel, provider, self.accepted, caplog)

        assert receipt.state in ("unknown", "failed")
        assert not is_final_failure(receipt)

    async def test_a_cancelled_send_ends_at_once_and_the_next_one_goes_through(
        self, kit: RoomKit, channel: Channel, provider: HTTPProvider
    ) -> None:
        receipts: list[Receipt] = []

        async def send() -> None:
            receipts.append(await self.send(channel))

        provider.answer = SILENCE
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await provider.arrival()
            tasks.cancel_scope.cancel()

        assert receipts == [], "a cancelled send does not know what became of it, and says nothing"
        provider.answer = self.accepted
        assert (await self.send(channel)).state == "sent"

    async def test_a_provider_that_remembers_keys_is_given_the_same_one_each_time(
        self, kit: RoomKit, channel: Channel, provider: HTTPProvider
    ) -> None:
        if channel.guarantee != "idempotent":
            return
        for _ in range(2):
            await self.send(channel, key="the-key-of-this-row")

        def has_key(request: Request) -> bool:
            return b"the-key-of-this-row" in b"".join(
                [request.path.encode(), request.body, repr(request.headers).encode()]
            )

        assert [has_key(request) for request in provider.requests] == [True, True]

    def test_a_provider_that_can_be_asked_is_asked(self, channel: Channel) -> None:
        asks = type(channel).reconcile is not Channel.reconcile
        assert asks == (channel.guarantee == "reconcilable"), "reconcile() and guarantee='reconcilable' go together"

    # ------------------------------------------------------------------------------------------------ both ways

    async def test_whoever_writes_gets_the_answer_and_a_repeat_is_one_message(
        self, kit: RoomKit, channel: Channel, provider: HTTPProvider
    ) -> None:
        message = self.inbound()
        key = channel.conversation_key(message)
        assert key == channel.conversation_key(message), "conversation_key is pure"
        room = ROOM if key is None else None
        result, repeat = [await kit.process_inbound(message, room_id=room) for _ in range(2)]
        assert not result.blocked
        assert result.event is not None
        assert repeat.event is not None
        assert repeat.event.id == result.event.id
        room_id = result.event.room_id
        await kit.attach_channel(room_id, "bot")
        provider.requests.clear()

        await kit.send_event(room_id, "bot", TextContent(body="good day"))

        messages = [event for event in await kit.get_timeline(room_id) if event.type == "message"]
        assert [event.source.channel_id for event in messages] == [ID, "bot"]
        assert (await kit.get_binding(room_id, ID)).routes
        [row] = await kit.deliveries.list(room_id=room_id)
        assert (row.state, row.reason) == ("sent", None)
        [request] = provider.requests
        assert channel.reply_route(message).address in request.path + request.body.decode()
