"""The reference of errors knows every code that is written and every class, and what each means."""

from __future__ import annotations

import pytest

from docs.generate import errors
from docs.generate.codes import BY_ITSELF, NO, OUTCOME, RESULT, WIRE, YES, error_classes, read, sites
from docs.generate.pages import target
from roomkit_core.errors import Explanation

FORMS = {
    'raise StoreError("no", code="a.b")': ("a.b", "`StoreError`", YES),
    'raise StoreError("no", code="a.b", retryable=False)': ("a.b", "`StoreError`", NO),
    'class NoError(RoomKitError):\n    default_code = "a.b"': ("a.b", "`NoError`", NO),
    'return Receipt.failed("a.b", "no")': ("a.b", OUTCOME, NO),
    'return Receipt.failed("a.b", "no", retryable=True)': ("a.b", OUTCOME, YES),
    'X = Outcome(WorkState.PENDING, "a.b", "later")': ("a.b", OUTCOME, BY_ITSELF),
    'X = Outcome(WorkState.DEAD, known or "a.b", "later")': ("a.b", OUTCOME, NO),
    'return refuse(unit, key, "plain")': ("plain", RESULT, ""),
    'PLAIN: Final = "plain"\nreturn result(None, reason=PLAIN)': ("plain", RESULT, ""),
    "from roomkit_core.engine.steps.inbound import QUEUED as X\nself.refusal = X": ("queued", RESULT, ""),
    'self._drop(client, "a.b" if slow else "a.b")': ("a.b", WIRE, YES),
    'whatever(somewhere, {"key": ["a.b"]})': ("a.b", "", ""),
}


@pytest.mark.parametrize(("source", "told"), FORMS.items())
def test_a_code_is_found_in_whatever_form_it_is_written(source: str, told: tuple[str, str, str]) -> None:
    assert {(site.code, site.where, site.again) for site in read(source)} == {told}


@pytest.mark.parametrize("source", ['log = getLogger("roomkit.hooks")', 'open("room.db")', '"""Of a.b and c.d."""'])
def test_what_only_looks_like_a_code_is_none(source: str) -> None:
    assert read(source) == ()


def test_codes_of_the_core_and_of_plugins_are_among_those_that_are_found() -> None:
    found = set(sites())

    assert {"provider.refused", "expired", "room_closed", "source_muted", "store.io", "ask.timeout"} <= found
    assert {"event.deleted", "rate_limited", "room.gone", "timer.none", "work.failed", "queued"} <= found
    assert {"hook.timeout", "channel.detached", "channel.access", "message.failed", "waits.busy"} <= found
    assert {"plugin.component_unknown", "config.app", "server.port_in_use", "connection.too_slow"} <= found


def test_a_code_without_an_explanation_stops_the_generator() -> None:
    known = {code: meaning for code, meaning in errors.explanations().items() if code != "server.stopping"}

    with pytest.raises(SystemExit, match=r"^server.stopping has no explanation; it is written in plugins/roomkit-web"):
        errors.check(sites(), known)


def test_an_explanation_of_nothing_stops_the_generator() -> None:
    with pytest.raises(SystemExit, match=r"^acme.gone is explained, and nothing writes it$"):
        errors.check(sites(), {**errors.explanations(), "acme.gone": Explanation("It is gone")})


def test_a_code_of_which_nobody_knows_where_it_is_met_stops_the_generator() -> None:
    found = {**sites(), "expired": read('x("a.b")', "roomkit_core/models/x.py")}

    with pytest.raises(SystemExit, match=r"^expired: roomkit_core/models/x.py does not tell where it is met"):
        errors.check(found, errors.explanations())


def test_every_class_has_its_row() -> None:
    text = target("errors").read_text(encoding="utf-8")

    assert all(f"| `{found.__name__}` | `{found.default_code}` |" in text for found in error_classes())


def test_the_page_about_the_wire_protocol_has_every_code_that_only_its_clients_get() -> None:
    from roomkit_websocket.codes import EXPLANATIONS

    text = target("websocket").read_text(encoding="utf-8")

    assert [code for code in EXPLANATIONS if f"| `{code}` |" not in text] == []
