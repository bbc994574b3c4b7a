"""The demo as people meet it: two browser windows, a bot, a cut connection, a restart. In a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.demo import Cable, Demo
from tests.support.browser import chromium

REFUSING = """
from roomkit_core import HookResult, HookTrigger, hook

@hook(HookTrigger.BEFORE_BROADCAST)
async def no_shouting(event, context):
    return HookResult.block("please do not shout") if event.content.body.isupper() else HookResult.allow()
"""

Window = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a head."""
    with chromium() as found:
        yield found


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """The demo on a file of its own, listening."""
    demo = Demo(tmp_path / "room.db")
    demo.start()
    yield demo
    demo.kill()


@pytest.fixture
def cable(demo: Demo) -> Iterator[Cable]:
    """A cable to the demo."""
    cable = Cable(demo.port)
    yield cable
    cable.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[Window]:
    """Opens a window of its own for somebody, and goes into a room."""
    contexts = []
    problems: list[str] = []

    def open_window(url: str, name: str, room: str = "lobby") -> Page:
        context = browser.new_context()
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        page.get_by_label("Your name").fill(name)
        page.get_by_label("Room").fill(room)
        page.get_by_role("button", name="Enter the room").click()
        expect(page.get_by_role("status")).to_have_text("connected")
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert not problems


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_label("Message", exact=True).press("Enter")


def lines(page: Page) -> list[str]:
    """The texts of the log, in the order in which they stand there."""
    return page.locator("#log .bubble").all_inner_texts()


def indexes(page: Page) -> list[int]:
    return [int(line.get_attribute("data-index") or "-1") for line in page.locator("#log .line").all()]


def wait_for(page: Page, text: str) -> None:
    whole = re.compile(re.escape(text) + r"(?!\d)")  # "ann 1" is not "ann 11"
    # After several cuts in a row a client waits longer than the five seconds that Playwright has patience for.
    expect(page.locator("#log .bubble", has_text=whole)).to_have_count(1, timeout=30_000)


def test_two_windows_and_a_bot_talk_in_one_room(demo: Demo, window: Window) -> None:
    ann, bob = window(demo.url, "Ann"), window(demo.url, "Bob")
    say(ann, "Hello")
    wait_for(ann, "Hello, Ann!")
    wait_for(bob, "Hello, Ann!")
    say(bob, "Nice to be here")
    wait_for(ann, "You said: Nice to be here")
    wait_for(bob, "You said: Nice to be here")

    assert lines(ann) == lines(bob)
    assert lines(ann)[1:] == [
        "Hello",
        "Hello, Ann! Ask me for the time, or tell me to roll the dice.",
        "Nice to be here",
        "You said: Nice to be here",
    ]
    assert bob.locator("#log .line", has_text="Hello").nth(1).locator(".author").inner_text() == "Ann"
    assert bob.locator("#log .line.own .bubble").all_inner_texts() == ["Nice to be here"]
    assert bob.locator("#log .line.bot .author").last.inner_text() == "Bot"


def test_rooms_are_apart_and_a_late_comer_sees_the_history(demo: Demo, window: Window) -> None:
    ann = window(demo.url, "Ann", "one")
    say(ann, "before Bob came")
    wait_for(ann, "You said: before Bob came")
    bob, eve = window(demo.url, "Bob", "one"), window(demo.url, "Eve", "two")
    wait_for(bob, "You said: before Bob came")

    assert lines(bob) == lines(ann)
    expect(eve.locator("#log .bubble")).to_have_count(1)  # the greeting of the bot of that room


def test_a_cut_connection_goes_on_where_it_stopped(demo: Demo, cable: Cable, window: Window) -> None:
    ann, bob = window(cable.url, "Ann"), window(demo.url, "Bob")
    say(ann, "before the cut")
    wait_for(bob, "You said: before the cut")
    wait_for(ann, "You said: before the cut")

    cable.cut()
    expect(ann.get_by_role("status")).to_have_text("reconnecting…")
    for number in range(3):
        say(bob, f"in the gap {number}")
        wait_for(bob, f"You said: in the gap {number}")
    say(ann, "while I was cut off")
    expect(ann.locator("#pending .bubble")).to_have_text(["while I was cut off"])
    assert lines(ann)[-1] == "You said: before the cut"

    cable.plug()
    wait_for(ann, "You said: while I was cut off")
    wait_for(bob, "You said: while I was cut off")
    expect(ann.locator("#pending .line")).to_have_count(0)
    expect(ann.get_by_role("status")).to_have_text("connected")
    assert lines(ann) == lines(bob)
    assert [text for text in lines(ann) if not text.startswith("You said")][1:] == [
        "before the cut",
        "in the gap 0",
        "in the gap 1",
        "in the gap 2",
        "while I was cut off",
    ]
    assert indexes(ann) == sorted(set(indexes(ann))) == indexes(bob)


def test_a_connection_that_is_cut_again_and_again_loses_and_repeats_nothing(
    demo: Demo, cable: Cable, window: Window
) -> None:
    ann, bob = window(cable.url, "Ann"), window(demo.url, "Bob")
    for number in range(6):
        say(ann, f"ann {number}")
        say(bob, f"bob {number}")
        cable.cut()
        say(bob, f"more bob {number}")
        cable.plug()
    said = {f"{who} {number}" for number in range(6) for who in ("ann", "bob", "more bob")}
    for text in said:
        wait_for(ann, f"You said: {text}")
        wait_for(bob, f"You said: {text}")

    assert lines(ann) == lines(bob)
    assert sorted(text for text in lines(ann)[1:] if not text.startswith("You said")) == sorted(said)
    assert indexes(ann) == sorted(set(indexes(ann)))


def test_a_server_that_is_killed_while_both_type_loses_and_repeats_nothing(demo: Demo, window: Window) -> None:
    """Three kills in mid-conversation: what was said is there once, in order, and the bot has answered each of it."""
    ann, bob = window(demo.url, "Ann"), window(demo.url, "Bob")
    for number in range(12):
        say(ann, f"ann {number}")
        say(bob, f"bob {number}")
        if number % 4 == 3:
            demo.kill()
            say(ann, f"into the dark {number}")
            demo.start()
    said = [*(f"{who} {number}" for number in range(12) for who in ("ann", "bob"))]
    said += [f"into the dark {number}" for number in (3, 7, 11)]
    for text in said:
        wait_for(ann, f"You said: {text}")
        wait_for(bob, f"You said: {text}")

    assert lines(ann) == lines(bob)
    assert sorted(text for text in lines(ann)[1:] if not text.startswith("You said")) == sorted(said)
    assert sorted(text for text in lines(ann) if text.startswith("You said")) == sorted(f"You said: {t}" for t in said)
    for who in ("ann", "bob"):
        own = [text for text in lines(ann) if text.startswith(f"{who} ")]
        assert own == [f"{who} {number}" for number in range(12)]
    assert indexes(ann) == sorted(set(indexes(ann))) == indexes(bob)
    expect(ann.locator("#log .line.gone")).to_have_count(0)


def test_a_server_that_lost_its_memory_says_so(window: Window) -> None:
    demo = Demo(None)
    demo.start()
    try:
        tell_of_a_lost_memory(demo, window)
    finally:
        demo.kill()


def tell_of_a_lost_memory(demo: Demo, window: Window) -> None:
    ann = window(demo.url, "Ann")
    say(ann, "remember this")
    wait_for(ann, "You said: remember this")
    old = len(lines(ann))

    demo.kill()
    expect(ann.get_by_role("status")).to_have_text("reconnecting…")
    say(ann, "said to nobody")
    demo.start()

    told = ann.get_by_text("The server was restarted and lost its memory. Earlier messages are gone.")
    expect(told).to_be_visible()
    wait_for(ann, "You said: said to nobody")
    expect(ann.locator("#log .line.gone")).to_have_count(old)
    assert ann.locator("#log .line:not(.gone) .bubble").all_inner_texts()[1:] == [
        "said to nobody",
        "You said: said to nobody",
    ]
    expect(told).to_have_count(1)


def test_a_reload_keeps_the_lines_and_goes_on(demo: Demo, window: Window) -> None:
    ann, bob = window(demo.url, "Ann"), window(demo.url, "Bob")
    say(ann, "before the reload")
    wait_for(ann, "You said: before the reload")
    ann.reload()
    expect(ann.get_by_role("status")).to_have_text("connected")
    say(bob, "after it")
    wait_for(ann, "You said: after it")

    assert lines(ann) == lines(bob)
    assert ann.locator("#log .line.own .bubble").all_inner_texts() == ["before the reload"]


def test_a_refused_message_says_why_and_can_be_dropped(window: Window, tmp_path: Path) -> None:
    (tmp_path / "refusing.py").write_text(REFUSING)
    demo = Demo(tmp_path / "room.db", ROOMKIT_ROOMKIT__APP='["bot", "refusing"]', PYTHONPATH=str(tmp_path))
    demo.start()
    try:
        ann = window(demo.url, "Ann")
        say(ann, "HELLO")
        expect(ann.get_by_role("alert")).to_contain_text("Not sent: please do not shout")
        ann.get_by_role("button", name="Discard").click()
        expect(ann.locator("#pending .line")).to_have_count(0)
        say(ann, "hello")
        wait_for(ann, "Hello, Ann!")
    finally:
        demo.kill()


def test_it_works_with_the_keyboard_alone_and_is_named_for_screen_readers(demo: Demo, browser: Browser) -> None:
    context = browser.new_context(color_scheme="dark", viewport={"width": 390, "height": 780})
    try:
        page = context.new_page()
        page.goto(demo.url)
        page.keyboard.type("Ann")
        page.keyboard.press("Enter")
        expect(page.get_by_role("log", name="Messages", exact=True)).to_have_attribute("aria-live", "polite")
        page.keyboard.type("hello")
        page.keyboard.press("Enter")
        wait_for(page, "Hello, Ann!")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, "the page scrolls sideways on a phone"
    finally:
        context.close()
