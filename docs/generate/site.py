"""A hook of mkdocs: what becomes of every page, after it is HTML and before the theme is around it."""

from __future__ import annotations

import re
from html import escape
from typing import Any

_role = re.compile(r":(?:class|meth|func|mod|data|attr|exc):(<code>)[~.]?")
_table = re.compile(r"<table>.*?</table>", re.DOTALL)
_title = re.compile(r"<th(?:\s[^>]*)?>(.*?)</th>", re.DOTALL)
_row = re.compile(r"<tr>.*?</tr>", re.DOTALL)
_tag = re.compile(r"<[^>]+>")


def on_page_content(html: str, **_: Any) -> str:
    """The page without the names of roles, which Markdown does not know, and with titles in the cells of its tables."""
    return _table.sub(lambda found: titled(found[0]), _role.sub(r"\1", html))


def titled(table: str) -> str:
    """A table each of whose cells has the title of its column, for screens on which rows are no rows."""
    titles = [escape(_tag.sub("", title)) for title in _title.findall(table)]
    return _row.sub(lambda found: _with_titles(found[0], titles), table)


def _with_titles(row: str, titles: list[str]) -> str:
    left = iter(titles)
    return re.sub(r"<td", lambda _: f'<td data-title="{next(left, "")}"', row)
