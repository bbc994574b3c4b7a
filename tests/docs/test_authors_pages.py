"""The pages for authors of plugins name all that there is to write."""

from __future__ import annotations

import re

from roomkit_core import ConversationStore
from tests.docs.snippets import ROOT


def test_the_page_about_stores_lists_each_method_that_a_store_has_to_bring() -> None:
    page = (ROOT / "docs/how-to/write-a-store.md").read_text(encoding="utf-8")
    needed = ConversationStore.__abstractmethods__
    table = "\n".join(line for line in page.splitlines() if line.startswith("|"))

    assert set(re.findall(r"`(\w+)`", table)) - {"ChangeSet", "Ticket"} == needed
    assert f"has {len(needed)} abstract methods" in page
