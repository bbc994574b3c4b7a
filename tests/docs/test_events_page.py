"""The reference of framework events knows every event that is told, and its data."""

from __future__ import annotations

import pytest

from docs.generate.events import Site, check, read, sites
from roomkit_core.hooks.told import TOLD, Told

FORMS = {
    'kit.emit("a", room_id=r)': Site("a", "", frozenset()),
    'self._ports.handlers.emit("a", data={"k": 1})': Site("a", "", frozenset({"k"})),
    'def f(self):\n    data = {"k": 1} if x else None\n    self._emit("a", data=data)': Site("a", "", frozenset({"k"})),
    'def f(self):\n    name = "a"\n    emit(name, **facts)': Site("a", "", None),
    'A = "a"\nhandlers.emit(A, data={"k": 1, "l": 2})': Site("a", "", frozenset({"k", "l"})),
    'Announcement("a", channel, event, {"k": 1})': Site("a", "", frozenset({"k"})),
    'about_channel("a", event, binding)': Site("a", "", None),
    'self._gates.tell("a" if x else "a", self)': Site("a", "", None),
}


@pytest.mark.parametrize(("source", "site"), FORMS.items())
def test_an_event_is_found_in_whatever_form_it_is_told(source: str, site: Site) -> None:
    assert list(read(source)) == [site]


def test_events_of_the_core_and_of_plugins_are_among_those_that_are_found() -> None:
    found = {(site.name, site.file.partition("/")[0]) for site in sites()}

    assert ("channel_connected", "plugins") in found
    assert {"delivery_delayed", "process_timeout", "room_closed", "circuit_breaker_opened"} <= {
        name for name, _ in found
    }


def test_an_event_that_is_not_documented_stops_the_generator() -> None:
    told = {name: one for name, one in TOLD.items() if name != "room_deleted"}

    with pytest.raises(SystemExit, match=r"^room_deleted is not in TOLD; roomkit_core/engine/verbs/rooms.py tells it$"):
        check(list(sites()), told)


def test_an_event_that_nothing_tells_stops_the_generator() -> None:
    with pytest.raises(SystemExit, match=r"^late is in TOLD, and nothing tells it$"):
        check(list(sites()), {**TOLD, "late": Told("Never.")})


def test_data_that_is_not_documented_stops_the_generator() -> None:
    found = [*sites(), *read('kit.emit("room_deleted", data={"by": 1})')]

    with pytest.raises(SystemExit, match=r"^room_deleted has by in its data, which TOLD does not say$"):
        check(found, TOLD)


def test_data_that_nothing_sets_stops_the_generator() -> None:
    told = {**TOLD, "room_deleted": Told("A room was deleted.", {"by": "Who did it"})}

    with pytest.raises(SystemExit, match=r"^TOLD says of room_deleted that it has by, and nothing sets it$"):
        check(list(sites()), told)
