"""A page on a server that asks for tokens, in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.demo import Demo
from tests.e2e.test_page import browser as browser  # the fixture

TOKEN = "ann-has-this-secret"
AUTH = {
    "ROOMKIT_CHANNELS__WEB__AUTH__USE": "token",
    "ROOMKIT_CHANNELS__WEB__AUTH__PEOPLE__ANN__TOKEN": TOKEN,
}


@pytest.fixture
def guarded() -> Iterator[Demo]:
    """The demo, which lets in who has a token."""
    demo = Demo(None, **AUTH)
    demo.start()
    yield demo
    demo.kill()


@pytest.fixture
def page(browser: Browser, guarded: Demo) -> Iterator[Page]:
    """A window, in which somebody asked to come in."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(guarded.url)
    expect(page.get_by_label("Token")).to_be_hidden()
    enter(page, "Ann")
    yield page
    context.close()


def enter(page: Page, name: str, token: str = "") -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Room").fill("lobby")
    if token:
        page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Enter the room").click()


def test_a_page_asks_for_a_token_when_the_server_does_and_keeps_it_in_its_tab(page: Page, tmp_path: Path) -> None:
    expect(page.get_by_role("alert")).to_have_text("This server asks for a token.", timeout=30_000)
    expect(page.get_by_label("Token")).to_be_focused()
    expect(page.get_by_label("Your name")).to_have_value("Ann")
    enter(page, "Ann", "wrong-in-every-letter")
    expect(page.get_by_role("alert")).to_have_text("The server does not know this token.", timeout=30_000)
    expect(page.get_by_label("Token")).to_have_value("")
    page.screenshot(path=tmp_path / "token.png")

    enter(page, "Ann", TOKEN)
    expect(page.get_by_role("status")).to_have_text("connected", timeout=30_000)
    page.reload()
    expect(page.get_by_role("status")).to_have_text("connected", timeout=30_000)

    stores = "[Object.values(sessionStorage), Object.values(localStorage), document.cookie, location.href]"
    session, *others = page.evaluate(stores)
    assert TOKEN in session
    assert TOKEN not in json.dumps(others)
    other = page.context.new_page()
    other.goto(page.url)
    assert TOKEN not in other.evaluate("Object.values(sessionStorage)")
