"""In which line of a configuration everything stands, also inside of what takes several lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from roomkit_core.config.document import parse
from roomkit_core.config.places import Places
from tests.config.conftest import Problems

TEXT = '''\
# a comment
title = "x" # another

[roomkit]
app = [
    "one",  # the first
    # nothing

    "two", "three",
    """
four
""",
    ["five", "six",
     "seven"],
]

[channels.a] # ]
use = "pager"
"number = 1" = "="
provider = { use = "beeper", tones = [
    1,
    { high = [
        2,
    ] },
], pace = 3 }

[[guests]]
name = "ann"
[guests.home]
city = "here"
[[guests.pets]]
name = "cat"
[[guests]]
name = "bob"
[[guests.pets]]
name = "dog"
'''


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("title", 2),
        ("roomkit", 4),
        ("roomkit app", 5),
        ("roomkit app 0", 6),
        ("roomkit app 1", 9),
        ("roomkit app 2", 9),
        ("roomkit app 3", 10),
        ("roomkit app 4", 13),
        ("roomkit app 4 1", 13),
        ("roomkit app 4 2", 14),
        ("roomkit app 9", 5),
        ("channels", 17),
        ("channels a use", 18),
        ("channels a number_=_1", 19),
        ("channels a colour", 17),
        ("channels a provider use", 20),
        ("channels a provider tones 0", 21),
        ("channels a provider tones 1 high", 22),
        ("channels a provider tones 1 high 0", 23),
        ("channels a provider pace", 25),
        ("channels a provider colour", 20),
        ("guests 0 name", 28),
        ("guests 0 home city", 30),
        ("guests 0 pets 0 name", 32),
        ("guests 1 name", 34),
        ("guests 1 pets 0", 35),
        ("nothing", None),
    ],
)
def test_everything_has_its_line(keys: str, line: int | None) -> None:
    assert Places(TEXT).line_of(tuple(key.replace("_", " ") for key in keys.split())) == line


def test_a_sign_that_breaks_lines_elsewhere_breaks_none_here() -> None:
    places = Places('a = "one\u2028two\x85three"\nb = 1\n')

    assert (places.line_of(("a",)), places.line_of(("b",))) == (1, 2)


def test_in_a_very_tall_list_the_line_of_the_list_has_to_do() -> None:
    places = Places("\na = [\n" + "  1,\n" * 5_000 + "]\nb = 2\n")

    assert (places.line_of(("a", "4000")), places.line_of(("b",))) == (2, 5_004)


@pytest.mark.parametrize(
    ("text", "told", "kept"),
    [
        ("a = [\n1,\n]\na = [\n2,\n]\nb = 3\n", ["4 a"], {"a": [1], "b": 3}),
        ('[x]\na = """\nq"""\na = """\nz\n"""\nb = 1\n', ["4 x.a"], {"x": {"a": "q", "b": 1}}),
        ("[a]\n[b]\n[a]\nx = [\n[1],\n[2],\n]\n[c]\n", ["3 a"], {"a": {}, "b": {}, "c": {}}),
        ("a = 1\n[a]\nb = 2\n[c]\n", ["2 a"], {"a": 1, "c": {}}),
        ("[x]\ny = { a = 1 }\n[x.y]\nb = 1\n", ["3 x.y"], {"x": {"y": {"a": 1}}}),
        ('"a=b" = 1\n"a=b" = 2\n"a=b" = 3\n', ['2 "a=b"', '3 "a=b"'], {"a=b": 1}),
        ("a.b = 1\na = 2\n", ["2 a"], {"a": {"b": 1}}),
    ],
)
def test_of_what_stands_there_twice_the_second_is_told_and_left_out(
    text: str, told: list[str], kept: dict[str, object]
) -> None:
    document = parse(Path("roomkit.toml"), text)

    assert document.data == kept
    assert [f"{problem.line} {problem.key}" for problem in document.problems] == told


def test_a_mistake_in_a_list_of_several_lines_has_the_line_of_its_entry(problems: Problems) -> None:
    assert problems('[roomkit]\napp = [\n    "bot",\n    1,\n]\n') == [
        "4 roomkit.app.1: input should be a valid string"
    ]
    assert problems('[roomkit.plugins]\ndeny = [\n    "one",\n    { env = "NOBODY" },\n]\n') == [
        "4 roomkit.plugins.deny.1: the variable NOBODY is not set"
    ]
