"""The Python in the READMEs runs, and the files that they link to are there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import roomkit_core
from roomkit_core import InboundMessage, RoomKit, TextContent
from tests.support.channels import text_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")],
    key=lambda path: path.as_posix(),
)


def blocks(page: Path, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.anyio
async def test_the_bot_of_the_readme_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "bot", raising=False)
    page = ROOT / "README.md"
    (tmp_path / "bot.py").write_text(blocks(page)[0])
    (tmp_path / "roomkit.toml").write_text(blocks(page, "toml")[0])
    async with RoomKit.from_config(tmp_path / "roomkit.toml", environ={}) as kit:
        await kit.create_room("r")
        for channel_id in ("web", "bot"):
            await kit.attach_channel("r", channel_id)
        await kit.process_inbound(
            InboundMessage(channel_id="web", sender_id="ann", content=TextContent(body="hi")), room_id="r"
        )
        await kit.idle()
        said = [text_of(event) for event in await kit.get_timeline("r") if event.type == "message"]
    monkeypatch.delitem(sys.modules, "bot")
    assert said == ["hi", "You said: hi"]


def test_the_other_examples_of_the_readme_are_valid_code() -> None:
    names = {name: getattr(roomkit_core, name) for name in roomkit_core.__all__}
    program = {**names, "kit": RoomKit()}
    for example in blocks(ROOT / "README.md")[1:]:
        exec(example, program)
    assert issubclass(program["Pager"], roomkit_core.Channel)
