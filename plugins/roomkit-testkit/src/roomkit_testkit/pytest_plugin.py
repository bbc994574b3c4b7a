"""The pytest plugin: fixtures ``bot`` and ``room``, and the conversation beside what failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

pytest.register_assert_rewrite("roomkit_testkit.channels", "roomkit_testkit.stores")  # suites explain themselves

if TYPE_CHECKING:
    from roomkit_testkit.room import Bot, BotRoom

OPTION: Final = "roomkit_bot"
_room: Final = pytest.StashKey["BotRoom"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting ``roomkit_bot``."""
    parser.addini(OPTION, "The bot of the fixture `room`: a file, a configuration or a module.", default="bot.py")


@pytest.fixture
def bot(pytestconfig: pytest.Config) -> Bot:
    """The bot of the fixture ``room``: override it, or set ``roomkit_bot``; a path begins at pytest's root."""
    named = str(pytestconfig.getini(OPTION))
    return pytestconfig.rootpath / named if named.endswith((".py", ".toml")) else named


@pytest.fixture
async def room(bot: Bot, request: pytest.FixtureRequest) -> AsyncIterator[BotRoom]:
    """A room with the bot; a new one, on a new store, for each test."""
    from roomkit_testkit.room import bot_room  # with RoomKit, which a run without bots need not load

    async with bot_room(bot) as made:
        request.node.stash[_room] = made
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Put the conversation into the report of a test that failed."""
    report = yield
    made = item.stash.get(_room, None)
    if report.when == "call" and report.failed and made is not None:
        report.sections.append(("conversation", made.transcript()))
    return report
