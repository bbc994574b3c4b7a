"""The Python in the READMEs runs, and the files that they link to are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import roomkit_core
from roomkit_core import InboundMessage, RoomKit, TextContent
from tests.support.channels import LiveProbe, ScriptedChannel, text_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")],
    key=lambda path: path.as_posix(),
)


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.anyio
async def test_the_bot_of_the_readme_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it keeps its file where it runs
    bot, *_ = blocks(ROOT / "README.md")
    program: dict[str, object] = {}
    exec(bot, program)
    kit = program["kit"]
    assert isinstance(kit, RoomKit)
    live = LiveProbe()
    kit.register_channel(live)
    kit.register_channel(ScriptedChannel("bot"))
    async with kit:
        await kit.create_room("r")
        await kit.attach_channel("r", "live")
        await kit.attach_channel("r", "bot", access=roomkit_core.Access.WRITE_ONLY)
        await kit.process_inbound(
            InboundMessage(channel_id="live", sender_id="ann", content=TextContent(body="hi")), room_id="r"
        )
    assert [text_of(event) for event in live.got] == ["hi", "You said: hi"]


def test_the_other_examples_of_the_readme_are_valid_code() -> None:
    names = {name: getattr(roomkit_core, name) for name in roomkit_core.__all__}
    program = {**names, "kit": RoomKit()}
    for example in blocks(ROOT / "README.md")[1:]:
        exec(example, program)
    assert issubclass(program["Pager"], roomkit_core.Channel)
