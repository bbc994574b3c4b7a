"""The wire protocol as data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomkit_core.errors import ConflictError
from roomkit_core.models.content import RichContent
from roomkit_core.models.event import EventSource, RoomEvent
from roomkit_core.models.kinds import ChannelType
from roomkit_core.models.room import Cursor
from roomkit_websocket import protocol
from roomkit_websocket.protocol import Join, Ping, ProtocolError, Send

Committed = Callable[..., tuple[RoomEvent, Cursor]]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
almost_messages = st.fixed_dictionaries(
    {"type": st.sampled_from(["join", "send", "ping", "pong"])},
    optional=dict.fromkeys(("id", "text", "content", "room", "client", "name", "cursor", "token"), json_values),
)


def said(message: dict[str, Any]) -> dict[str, Any]:
    assert message["type"] == "websocket.send"
    content: dict[str, Any] = json.loads(message["text"], parse_constant=lambda name: pytest.fail(name))
    return content


@given(st.text() | almost_messages.map(json.dumps))
def test_whatever_comes_in_is_a_message_or_a_protocol_error(text: str) -> None:
    with suppress(ProtocolError):
        assert isinstance(protocol.parse(text), Join | Send | Ping)
    assert protocol.message_id(text) is None or isinstance(protocol.message_id(text), str)


def test_an_error_does_not_repeat_what_came_in() -> None:
    with pytest.raises(ProtocolError) as refused:
        protocol.parse('{"type":"join","room":"r","client":"hunter2"}')
    assert "hunter2" not in str(refused.value)
    assert str(refused.value).startswith("join.client: ")


def test_a_name_is_stripped_and_printable() -> None:
    joined = protocol.parse('{"type":"join","room":"r","name":"  Ann  "}')
    assert isinstance(joined, Join)
    assert joined.name == "Ann"
    with pytest.raises(ProtocolError):
        protocol.parse('{"type":"join","room":"r","name":"A\\u202en"}')


def test_content_goes_out_as_it_came_in(committed: Committed) -> None:
    content = RichContent(body="**hi**", plain_text="hi", buttons=[{"label": "Yes"}])
    event, cursor = committed(3, content=content, parent_event_id="e1")
    body = said(protocol.event_message(event, cursor))

    assert body["cursor"] == {"epoch": "epoch", "index": 3}
    assert body["event"]["content"]["buttons"] == [{"label": "Yes"}]
    assert body["event"]["parent"] == "e1"


def test_what_is_no_number_does_not_break_the_json(committed: Committed) -> None:
    event, cursor = committed(0, content=RichContent(body="x", buttons=[{"y": [1.5, math.nan]}]))
    assert said(protocol.event_message(event, cursor))["event"]["content"]["buttons"] == [{"y": [1.5, None]}]


def test_keys_of_other_channels_are_not_shown(committed: Committed) -> None:
    sms = EventSource(channel_id="sms", channel_type=ChannelType.SMS)
    mine, cursor = committed(0, idempotency_key="m1")
    theirs, _ = committed(0, idempotency_key="SM123", source=sms)

    assert said(protocol.event_message(mine, cursor))["event"]["key"] == "m1"
    assert said(protocol.event_message(theirs, cursor))["event"]["key"] is None


def test_an_error_of_the_core_keeps_its_code() -> None:
    told = said(protocol.error_message(ConflictError(), message_id="m1"))
    assert (told["code"], told["retryable"], told["id"], told["fatal"]) == ("store.conflict", True, "m1", False)
