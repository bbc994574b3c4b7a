"""``roomkit.toml``: what it makes, and every mistake in it at once, with its line and what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from roomkit_core import (
    Access,
    ConfigError,
    EventStatus,
    InboundMessage,
    InMemoryStore,
    Retention,
    RoomKit,
    SQLiteStore,
    TextContent,
    WorkState,
)
from roomkit_core.builtin.bot import BotChannel
from tests.support import configs
from tests.support.configs import write_config

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a configuration into the folder of the test; see :func:`write_config`."""
    return partial(write_config, tmp_path)


def kit_of(path: Path, **environ: str) -> RoomKit:
    return RoomKit.from_config(path, environ=environ)


def file_of(kit: RoomKit) -> Path:
    """Where a kit keeps everything."""
    assert isinstance(kit.store, SQLiteStore)
    return Path(kit.store.path)


def problems_of(path: Path, **environ: str) -> list[str]:
    """What :func:`configs.problems_of` finds in a file."""
    return configs.problems_of(lambda: kit_of(path, **environ))


# ------------------------------------------------------------------------------------------------- what it makes


def test_an_empty_file_is_a_kit_on_a_file_beside_it(write: Write, tmp_path: Path) -> None:
    kit = kit_of(write(""))

    assert isinstance(kit.store, SQLiteStore)
    assert kit.store.path == str(tmp_path / "room.db")
    assert kit.channels == {}


def test_components_are_built_with_their_own_settings(write: Write, tmp_path: Path) -> None:
    kit = kit_of(
        write(
            """
            [roomkit]
            store = "main"
            [stores.main]
            use = "sqlite"
            path = "data/rooms.db"
            synchronous = "normal"
            [stores.other]
            use = "memory"
            [channels.bot]
            use = "builtin:bot"
            """
        )
    )

    assert isinstance(kit.store, SQLiteStore)
    assert kit.store.path == str(tmp_path / "data/rooms.db"), "relative to the file, not to where the process runs"
    assert isinstance(kit.channels["bot"], BotChannel)


def test_a_store_that_is_the_only_one_needs_no_name(write: Write) -> None:
    assert isinstance(kit_of(write('[stores.main]\nuse = "memory"\n')).store, InMemoryStore)


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(write: Write, tmp_path: Path) -> None:
    path = write('[stores.the-store]\nuse = "sqlite"\npath = "file.db"\n')

    assert file_of(kit_of(path)) == tmp_path / "file.db"
    assert file_of(kit_of(path, ROOMKIT_STORES__THE_STORE__PATH="env.db")) == tmp_path / "env.db"


def test_values_come_from_variables_and_files(write: Write, tmp_path: Path) -> None:
    path = write(
        """
        [stores.main]
        use = "sqlite"
        path = { env = "WHERE" }
        synchronous = { file = "how.txt" }
        """,
        how_txt="normal\n",
    )

    assert file_of(kit_of(path, WHERE="there.db")) == tmp_path / "there.db"


def test_how_long_things_are_kept_is_configured_in_words_or_seconds(write: Write) -> None:
    kit = kit_of(write('[retention]\nsettled = "2d"\ndead = 60\nkeys = "72h"\n'))

    assert kit is not None
    in_words = Retention.model_validate({"settled": "2d", "dead": 60, "keys": "72h"})
    assert in_words == Retention(settled=172_800, dead=60, keys=259_200)
    with pytest.raises(ValueError, match="72 hours"):
        Retention.model_validate({"keys": "71h"})


# ------------------------------------------------------------------------------------------------- the bot


BOT = """
from roomkit_core import HookResult, TextContent, hook, on
from somewhere import imported

told = []

@hook("before_broadcast", name="guard")
async def guard(event, context):
    return HookResult.block("rude") if "rude" in event.content.body else HookResult.allow()

@hook("after_broadcast", "async", durable=True)
async def answer(event, context, kit):
    if event.source.channel_id != "bot":
        await kit.send_event(event.room_id, "bot", TextContent(body="You said: " + event.content.body))

@on("room_created")
def note(event, kit):
    told.append((event.room_id, kit.__class__.__name__))
"""

ELSEWHERE = """
from roomkit_core import hook

@hook("before_broadcast", on_error="block")
async def imported(event, context):
    raise RuntimeError("only for those who include this module")
"""


async def test_the_hooks_of_the_app_run_with_the_kit_and_those_that_it_imports_do_not(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", sys.path[:])
    path = write(
        """
        [roomkit]
        app = ["abot"]
        [stores.main]
        use = "memory"
        [channels.bot]
        use = "bot"
        [channels.web]
        use = "websocket"
        """,
        abot_py=BOT,
        somewhere_py=ELSEWHERE,
    )
    for name in ("abot", "somewhere"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    async with kit_of(path) as kit:
        await kit.create_room("r")
        await kit.attach_channel("r", "web")
        await kit.attach_channel("r", "bot", access=Access.WRITE_ONLY)
        for text in ("hi", "rude"):
            message = InboundMessage(channel_id="web", sender_id="ann", content=TextContent(body=text))
            await kit.process_inbound(message, room_id="r")
        await kit.idle()
        events = [event for event in await kit.get_timeline("r") if event.type == "message"]
        states = {row.state for row in await kit.deliveries.list()}

    assert [event.content.body for event in events] == ["hi", "You said: hi", "rude"]
    assert events[-1].status is EventStatus.BLOCKED
    assert states == {WorkState.DONE}
    assert sys.modules["abot"].told == [("r", "RoomKit")]


@pytest.mark.parametrize(
    ("bot", "what"),
    [
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it' ("),
        ("def broken(:\n", "SyntaxError: "),
        ("1 / 0", "ZeroDivisionError: division by zero ("),
    ],
)
def test_a_bot_that_does_not_import_is_a_problem_with_its_line(
    write: Write, monkeypatch: pytest.MonkeyPatch, bot: str, what: str
) -> None:
    monkeypatch.setattr("sys.path", sys.path[:])
    monkeypatch.delitem(sys.modules, "bbot", raising=False)
    [problem] = problems_of(write('[roomkit]\napp = ["bbot"]\n', bbot_py=bot))

    assert problem.startswith("2 roomkit.app.0: ")
    assert what in problem


def test_of_several_modules_the_one_that_is_not_there_has_its_own_line(write: Write) -> None:
    [problem] = problems_of(write('[roomkit]\napp = [\n    "bot",\n    "bbot",\n]\n', bot_py=""))

    assert problem.startswith("4 roomkit.app.1: the module 'bbot' cannot be imported: ModuleNotFoundError")


# ------------------------------------------------------------------------------------------------- mistakes


def test_five_mistakes_are_five_problems_each_with_its_line(write: Write) -> None:
    path = write(
        """\
        [roomkit]
        colour = "red"
        process_timeout = "soon"

        [stores.main]
        use = "sqlite"
        path = { file = "secret.txt" }

        [channels.web]
        use = "websokcet"

        [channels.bot]
        use = "bot"
        [channels.bot]
        use = "websocket"
        """
    )

    unknown_key, wrong_type, missing_file, unknown_use, twice = problems_of(path)

    assert unknown_key == "2 roomkit.colour: there is no such key"
    assert wrong_type.startswith("3 roomkit.process_timeout: expected seconds")
    assert missing_file.startswith("7 stores.main.path: there is no file ")
    assert unknown_use.startswith("10 channels.web.use: no component of kind 'channel' is named 'websokcet'")
    assert twice == "14 channels.bot: this stands there twice"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[chanels.web]\nuse = 'bot'\n", "1 chanels: there is no such section"),
        ("[channels]\nweb = 1\n", "2 channels.web: this is not a table"),
        ("[channels.web]\n", "1 channels.web.use: it does not say which channel to use"),
        ("[channels.all]\nuse = 'bot'\n", "1 channels.all: channel id 'all' is not usable"),
        ("[channels.bot]\nuse = 'bot'\ncolour = 1\n", "3 channels.bot.colour: there is no such key"),
        ("[roomkit]\nstore = 'x'\n", "2 roomkit.store: there is no [stores.x]"),
        (
            "[roomkit]\nattach = ['b']\n[channels.bot]\nuse = 'bot'\n",
            "2 roomkit.attach.0: there is no [channels.b]",
        ),
        ("[stores.a]\nuse = 'memory'\n[stores.b]\nuse = 'memory'\n", "None roomkit.store: there are several stores"),
        ("[plugins.nobody]\n", "1 plugins.nobody: no plugin 'nobody' is installed"),
        ("[plugins.websocket]\nrequired = 'maybe'\n", "2 plugins.websocket.required: this is neither true nor false"),
        ("[plugins.websocket]\ncolour = 1\n", "2 plugins.websocket.colour: there is no such key"),
        (
            "[stores.a]\nuse = 'sqlite'\npath = { env = 'NOWHERE' }\n",
            "3 stores.a.path: the variable NOWHERE is",
        ),
        ("[stores.a]\nuse = 'sqlite'\nsynchronous = 'x'\n", "3 stores.a.synchronous: input should be 'full', 'normal'"),
        ("[retention]\nkeys = '1h'\n", "2 retention.keys: keys must be kept for at least 72 hours"),
        ("[logging]\nlevel = 'loud'\n", "2 logging.level: input should be 'debug'"),
        ("[roomkit]\nmax_chain_depth = 0\n", "2 roomkit.max_chain_depth: input should be greater than or equal to 1"),
        ("[roomkit.plugins]\ndeny = 'x'\n", "2 roomkit.plugins.deny"),
        ("[roomkit\n", "1 : "),
        ("a = 1\na = 2\n", "2 a: this stands there twice"),
    ],
)
def test_a_mistake_is_told_where_it_is(write: Write, text: str, problem: str) -> None:
    found = problems_of(write(text))

    assert any(one.startswith(problem) for one in found), found


def test_a_mistake_in_the_environment_names_the_variable(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        kit_of(write(""), ROOMKIT_ROOMKIT__CACHE_MB="much")

    [problem] = caught.value.problems
    assert (problem.variable, problem.line) == ("ROOMKIT_ROOMKIT__CACHE_MB", None)
    assert "(from ROOMKIT_ROOMKIT__CACHE_MB)" in str(problem)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no") as caught:
        RoomKit.from_config(tmp_path / "roomkit.toml")

    assert caught.value.code == "config.unreadable"
    assert caught.value.hint


def test_nothing_that_was_looked_up_is_in_a_message(write: Write) -> None:
    canary = "canary-7f3a"
    path = write(
        """
        [roomkit]
        process_timeout = { env = "SECRET" }
        max_chain_depth = { file = "secret.txt" }
        [stores.main]
        use = "sqlite"
        synchronous = { env = "SECRET" }
        """,
        secret_txt=canary,
    )

    with pytest.raises(ConfigError) as caught:
        kit_of(path, SECRET=canary)

    error: BaseException | None = caught.value
    seen: list[str] = []
    while error is not None:
        seen += [str(error), repr(error), repr(getattr(error, "problems", ""))]
        error = error.__cause__ or error.__context__
    assert len(caught.value.problems) == 3
    assert not any(canary in text for text in seen)


def test_a_secret_in_the_error_of_a_bot_is_in_no_message(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "canary-7f3a"
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "cbot", raising=False)
    monkeypatch.setenv("SECRET", canary)
    path = write(
        """
        [roomkit]
        app = ["cbot"]
        [stores.main]
        use = "sqlite"
        path = { env = "SECRET" }
        """,
        cbot_py='import os\nraise RuntimeError(os.environ["SECRET"])\n',
    )

    with pytest.raises(ConfigError) as caught:
        kit_of(path, SECRET=canary)

    error: BaseException | None = caught.value
    seen: list[str] = []
    while error is not None:
        seen += [str(error), repr(getattr(error, "problems", ""))]
        error = error.__cause__ or error.__context__
    assert "RuntimeError" in seen[0]
    assert not any(canary in text for text in seen)


def test_making_a_kit_by_code_reads_no_configuration() -> None:
    program = (
        "import sys; from roomkit_core import RoomKit; RoomKit();"
        "print('tomllib' in sys.modules, 'roomkit_core.config' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout.split() == ["False", "False"]
