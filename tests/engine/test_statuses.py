"""``process_delivery_status``: a rank that only grows, who is told about it, and reports that come too early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from roomkit_core import (
    DeliveryStatus,
    FrameworkEvent,
    HookExecution,
    HookTrigger,
    KitStateError,
    Receipt,
    RoomContext,
    RoomKit,
    WorkKind,
    WorkRow,
)
from tests.support.channels import LiveProbe, ScriptedChannel, message
from tests.support.homes import Home
from tests.support.rooms import say, wait_for, work

ON_STATUS = HookTrigger.ON_DELIVERY_STATUS


def report(status: str, message_id: str = "sms-1", channel_id: str | None = "sms", **fields: Any) -> DeliveryStatus:
    return DeliveryStatus(channel_id=channel_id, provider="test", message_id=message_id, status=status, **fields)


async def delivery(kit: RoomKit) -> WorkRow:
    [row] = await work(kit, WorkKind.DELIVERY)
    return row


# ----------------------------------------------------------------------------------------------------------- the rank


async def test_l11_the_rank_only_grows(home: Home) -> None:
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        await say(kit, "hi", channel_id="live")
        steps = [
            ("queued", True, "accepted"),
            ("sent", False, "accepted"),
            ("DELIVERED", True, "delivered"),
            ("accepted", False, "delivered"),
            ("delivered", False, "delivered"),
            ("read", True, "read"),
            ("delivered", False, "read"),
            ("failed", True, "undelivered"),
            ("read", False, "undelivered"),
        ]
        for status, grew, rank in steps:
            assert await kit.process_delivery_status(report(status)) is grew, status
            assert (await delivery(kit)).receipt_rank == rank
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        assert (await delivery(kit)).receipt_rank == "undelivered"
        assert await kit.process_delivery_status(report("read")) is False


async def test_a_report_that_comes_before_the_reply_joins_the_delivery(home: Home) -> None:
    sms = ScriptedChannel("sms", "wait")
    async with home.kit(LiveProbe(), sms) as kit:
        await say(kit, "hi", channel_id="live", wait="committed")
        await wait_for(lambda: sms.called.is_set())

        assert await kit.process_delivery_status(report("delivered")) is False
        assert (await delivery(kit)).receipt_rank == "none"
        sms.gate.set()
        await kit.idle()

        assert (await delivery(kit)).receipt_rank == "delivered"


async def test_a_delivery_goes_by_its_own_key_too(home: Home) -> None:
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        await say(kit, "hi", channel_id="live")
        row = await delivery(kit)

        assert await kit.process_delivery_status(report("read", row.provider_key)) is True
        assert (await delivery(kit)).receipt_rank == "read"


async def test_a_word_that_says_nothing_about_delivery_moves_nothing_and_is_told_all_the_same(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        kit.on_delivery_status(lambda status: told.append(status.status))
        await say(kit, "hi", channel_id="live")

        assert await kit.process_delivery_status(report("on-its-way")) is False
        await kit.idle()

        assert (await delivery(kit)).receipt_rank == "none"
        assert told == ["on-its-way"]
        assert "'on-its-way'" in caplog.text


async def test_a_report_without_a_channel_is_about_the_only_delivery_of_that_name(home: Home) -> None:
    class Numbered(ScriptedChannel):
        async def _send(self, behaviour: str, delivery: Any) -> Receipt:
            await super()._send(behaviour, delivery)
            return Receipt.sent(f"number-{len(self.sent)}")

    async with home.kit(LiveProbe(), Numbered("sms"), ScriptedChannel("mail")) as kit:
        told: list[str] = []
        kit.on_delivery_status(lambda status: told.append(status.message_id))
        await say(kit, "hi", channel_id="live")
        assert await kit.process_delivery_status(report("read", "mail-1", None)) is True
        assert await kit.process_delivery_status(report("read", "number-1", None)) is True
        other = Numbered("other")
        kit.register_channel(other)
        await kit.attach_channel("room", "other")
        await kit.detach_channel("room", "sms")
        await say(kit, "two", channel_id="live")

        assert await kit.process_delivery_status(report("failed", "number-1", None)) is False, "sms, or other?"
        await kit.idle()

        ranks = {(row.channel_id, row.receipt_rank) for row in await work(kit, WorkKind.DELIVERY)}
        assert ranks == {("sms", "read"), ("mail", "read"), ("other", "none"), ("mail", "none")}
        assert told == ["mail-1", "number-1"]


async def test_a_message_that_came_in_under_the_same_id_is_not_the_delivery(home: Home) -> None:
    told: list[str | None] = []
    async with home.kit(LiveProbe(), ScriptedChannel("sms"), rooms=["room", "other"]) as kit:
        kit.on("delivery_status")(lambda event: told.append(event.room_id))
        await say(kit, "hi", channel_id="live")
        incoming = message("a question", channel_id="sms", provider_message_id="sms-1")
        await kit.accept_inbound(incoming, room_id="other")
        await kit.idle()

        assert await kit.process_delivery_status(report("read")) is True
        await kit.idle()

        assert told == ["room"]


async def test_where_a_provider_counts_anew_the_newest_delivery_is_meant(home: Home) -> None:
    class Forgetful(ScriptedChannel):
        async def _send(self, behaviour: str, delivery: Any) -> Receipt:
            await super()._send(behaviour, delivery)
            return Receipt.sent("1")

    told: list[str | None] = []
    async with home.kit(LiveProbe(), Forgetful("sms")) as kit:
        kit.on("delivery_status")(lambda event: told.append(event.event_id))
        await say(kit, "old", channel_id="live")
        new = await say(kit, "new", channel_id="live")

        await kit.process_delivery_status(report("read", "1"))
        await kit.idle()

        assert [row.receipt_rank for row in await work(kit, WorkKind.DELIVERY)] == ["none", "read"]
        assert told == [new.id]


# ---------------------------------------------------------------------------------------------------------- who is told


async def test_handlers_are_told_when_a_rank_grows_and_only_then(home: Home) -> None:
    told: list[FrameworkEvent] = []
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        kit.on("delivery_status")(told.append)
        event = await say(kit, "hi", channel_id="live")
        for status in ("delivered", "sent", "Seen"):
            await kit.process_delivery_status(report(status))
        await kit.idle()

        row = await delivery(kit)
        assert [(e.room_id, e.channel_id, e.event_id) for e in told] == [("room", "sms", event.id)] * 2
        assert [dict(e.data) for e in told] == [
            {"delivery_id": row.id, "rank": "delivered", "status": "delivered"},
            {"delivery_id": row.id, "rank": "read", "status": "Seen"},
        ]


async def test_every_report_is_told_to_hooks_with_its_room_also_by_def_and_async_def(home: Home) -> None:
    told: list[tuple[str, Any]] = []
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:

        @kit.on_delivery_status
        def plain(status: DeliveryStatus) -> None:
            told.append(("def", status))

        @kit.on_delivery_status
        async def later(status: DeliveryStatus) -> None:
            told.append(("async def", status))

        @kit.hook(ON_STATUS, HookExecution.ASYNC)
        async def hook(status: DeliveryStatus, context: RoomContext) -> None:
            told.append(("hook", (status, context.room_id)))

        kit.add_room_hook("room", ON_STATUS, HookExecution.ASYNC, lambda status, context: told.append(("room", status)))
        kit.add_room_hook("other", ON_STATUS, HookExecution.ASYNC, lambda *_: told.append(("other", None)))
        await say(kit, "hi", channel_id="live")
        status = report("delivered", recipient="+1", error_code="30003", raw={"a": 1})

        assert await kit.process_delivery_status(status) is True
        assert await kit.process_delivery_status(status) is False
        await kit.idle()

        once = [("def", status), ("async def", status), ("hook", (status, "room")), ("room", status)]
        assert told == once * 2


@pytest.mark.parametrize(
    ("filters", "is_called"),
    [
        ({"channel_ids": {"sms"}}, True),
        ({"channel_ids": {"live"}}, False),
        ({"channel_types": {"scripted"}}, True),
        ({"channel_types": {"websocket"}}, False),
        ({"directions": {"bidirectional"}}, True),
        ({"directions": {"inbound"}}, False),
        ({"channel_ids": {"sms"}, "channel_types": {"websocket"}}, False),
    ],
    ids=repr,
)
@pytest.mark.parametrize("channel_id", ["sms", None])
async def test_t25_filters_look_at_the_channel_of_the_delivery(
    home: Home, filters: dict[str, Any], is_called: bool, channel_id: str | None
) -> None:
    called: list[str] = []
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:

        @kit.hook(ON_STATUS, **filters)
        async def hook(status: DeliveryStatus, context: RoomContext) -> None:
            called.append(status.status)

        await say(kit, "hi", channel_id="live")
        await kit.process_delivery_status(report("delivered", channel_id=channel_id))
        await kit.idle()

        assert called == (["delivered"] if is_called else [])


async def test_the_room_of_a_report_is_the_one_that_it_names_or_that_of_its_delivery(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, str]] = []
    async with home.kit(LiveProbe(), ScriptedChannel("sms"), rooms=["room", "other"]) as kit:

        @kit.hook(ON_STATUS)
        async def hook(status: DeliveryStatus, context: RoomContext) -> None:
            told.append((status.message_id, context.room_id))

        await say(kit, "hi", channel_id="live")
        await kit.process_delivery_status(report("delivered"))
        await kit.process_delivery_status(report("delivered", "unknown", room_id="other"))
        await kit.process_delivery_status(report("delivered", "nobody's"))
        await kit.process_delivery_status(report("delivered", "lost", room_id="nowhere"))
        await kit.idle()

        assert told == [("sms-1", "room"), ("unknown", "other")]
        assert "nobody's" in caplog.text
        assert "'lost'" in caplog.text


async def test_a_hook_that_raises_harms_nobody_and_is_told(home: Home) -> None:
    told: list[Any] = []
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:
        kit.on("hook_error")(lambda event: told.append((event.room_id, event.event_id, dict(event.data))))

        @kit.on_delivery_status
        def broken(status: DeliveryStatus) -> None:
            raise RuntimeError("no")

        event = await say(kit, "hi", channel_id="live")
        assert await kit.process_delivery_status(report("delivered")) is True
        await kit.idle()

        assert told == [("room", event.id, {"hook": "broken", "error": "RuntimeError: no"})]


async def test_t44_a_hook_that_reports_is_not_told_what_it_reports(home: Home) -> None:
    calls = 0
    async with home.kit(LiveProbe(), ScriptedChannel("sms")) as kit:

        @kit.hook(ON_STATUS)
        async def again(status: DeliveryStatus, context: RoomContext) -> None:
            nonlocal calls
            calls += 1
            await kit.process_delivery_status(report("read"))

        await say(kit, "hi", channel_id="live")
        await kit.process_delivery_status(report("delivered"))
        await kit.idle()

        assert calls == 1
        assert (await delivery(kit)).receipt_rank == "read"


async def test_a_closed_kit_takes_no_reports(home: Home) -> None:
    async with home.kit(LiveProbe()) as kit:
        pass
    with pytest.raises(KitStateError):
        await kit.process_delivery_status(report("read"))


# ----------------------------------------------------------------------------------------------------------- the model

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (NOON, NOON),
        (NOON.astimezone(timezone(timedelta(hours=2))), NOON),
        ("2024-02-29T12:00:00Z", NOON),
        ("2024-02-29T14:00:00+02:00", NOON),
        ("20240229T120000Z", NOON),
    ],
)
def test_the_time_of_a_report_is_aware(given: Any, expected: datetime | None) -> None:
    assert report("read", timestamp=given).timestamp == expected


NUMBERS = [0, 1709208000, 1709208000.5, True, "1709208000", "1709208000000"]
NO_ZONE = [
    "",
    "noon",
    "2024-02-29T12:00:00",
    "2024-02-29",
    NOON.replace(tzinfo=None),
    NOON.date(),
    b"2024-02-29T12:00Z",
]


@pytest.mark.parametrize("given", [*NUMBERS, *NO_ZONE])
def test_a_time_that_does_not_say_which_moment_it_means_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError, match="timestamp"):
        report("read", timestamp=given)


def test_a_report_survives_json() -> None:
    status = report("read", timestamp=NOON, raw={"a": [1]})
    assert DeliveryStatus.model_validate_json(status.model_dump_json()) == status
