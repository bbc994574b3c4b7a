"""Shelves, agendas and indexes of the in-memory store, each against the plainest thing that does the same."""

from __future__ import annotations

from sys import getsizeof

from hypothesis import given
from hypothesis import strategies as st

from roomkit_core.builtin.memory.shelves import Agenda, Index, Shelf

MANY = 500  # so that ranks are closed more than once

small = st.integers(0, 9)


@given(st.lists(st.tuples(st.sampled_from(["put", "drop", "take"]), small, small), max_size=60))
def test_a_shelf_gives_away_what_is_old_in_its_order(steps: list[tuple[str, int, int]]) -> None:
    shelf: Shelf[int, tuple[str, int]] = Shelf(1)
    plain: list[tuple[int, tuple[str, int]]] = []

    for moment, (step, limit, age) in enumerate(steps):
        if step == "put":
            shelf[moment] = ("x", moment)
            plain.append((moment, ("x", moment)))
        elif step == "drop" and plain:
            shelf.drop([plain.pop(limit % len(plain))[0]])
        elif step == "take":
            old = [item for item in plain if item[1][1] < moment - age][:limit]
            assert shelf.take_old(moment - age, limit) == old
            plain = [item for item in plain if item not in old]
        assert list(shelf.items()) == plain


def test_a_shelf_closes_its_ranks_and_keeps_its_order() -> None:
    shelf: Shelf[int, tuple[int]] = Shelf(0)
    for moment in range(MANY):
        shelf[moment] = (moment,)
    wide = getsizeof(shelf)

    taken = [name for _ in range(MANY // 10 - 1) for name, _ in shelf.take_old(MANY, 10)]

    assert taken == list(range(MANY - 10))
    assert list(shelf) == list(range(MANY - 10, MANY))
    assert getsizeof(shelf) < wide / 4
    shelf[MANY] = (MANY,)
    assert [name for name, _ in shelf.take_old(MANY, 100)] == list(range(MANY - 10, MANY))
    assert list(shelf) == [MANY]


@given(st.lists(st.tuples(st.sampled_from(["put", "drop", "take"]), small, small), max_size=60))
def test_an_agenda_tells_what_is_due_by_the_time_that_was_set_last(steps: list[tuple[str, int, int]]) -> None:
    agenda: Agenda[str] = Agenda()
    plain: dict[str, int] = {}

    for step, number, moment in steps:
        name = str(number)
        if step == "put":
            agenda.put(name, moment)
            plain[name] = moment
        elif step == "drop":
            agenda.drop(name)
            plain.pop(name, None)
        else:
            due = sorted((at, name) for name, at in plain.items() if at < moment)[:number]
            assert agenda.take_old(moment, number) == [name for _, name in due]
            plain = {name: at for name, at in plain.items() if (at, name) not in due}


def test_an_agenda_sweeps_out_times_that_were_changed() -> None:
    agenda: Agenda[str] = Agenda()

    for moment in range(MANY):
        agenda.put("often", moment)
        agenda.put(str(moment), moment)
        agenda.drop(str(moment))

    assert agenda.take_old(MANY, MANY) == ["often"]
    assert agenda.take_old(MANY, MANY) == []


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(0, 20)), max_size=80))
def test_an_index_holds_each_thing_once_in_the_order_in_which_they_came(steps: list[tuple[bool, str, int]]) -> None:
    index: Index[int] = Index()
    plain: dict[str, dict[int, None]] = {"a": {}, "b": {}}

    for is_new, name, thing in steps:
        if is_new:
            index.add(name, thing)
            plain[name][thing] = None
        else:
            index.remove(name, thing)
            plain[name].pop(thing, None)
        assert list(index.of(name)) == list(plain[name])
        assert index.newest(name) == (next(reversed(plain[name])) if plain[name] else None)
        assert len(index) == sum(map(bool, plain.values()))
