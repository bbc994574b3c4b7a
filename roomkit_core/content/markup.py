"""HTML as plain text."""

from __future__ import annotations

import re
from html import unescape

_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "br", "caption", "dd", "details", "div", "dl", "dt", "fieldset"}
    | {"figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "li"}
    | {"main", "nav", "ol", "option", "p", "pre", "section", "summary", "table", "tr", "ul"}
)
_CELLS = frozenset({"td", "th"})
_SCHEMES = ("http://", "https://", "mailto:", "tel:")

_NAME = re.compile(r"</?+([a-zA-Z][^\s/>]*+)")
_BETWEEN = re.compile(r"[\s/]*+")
_ATTRIBUTE = re.compile(r"""([^\s/>][^\s/>=]*+)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+))?+""")
_UNFINISHED = re.compile(r"""\s*+=\s*+["']""")
_RAW_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style", "title")}
_NO_CHARACTER = re.compile(r"&#0*+[0-9]{8,}+;?+")  # too long a number is an error to what reads the others


def text_of_html(html: str) -> str:
    """What a person reads of it: a line for each block, the address behind each link, nothing of scripts and styles.

    Whatever it is given, it raises nothing and its time grows with the length: it looks at each character a few times
    (the parser of the standard library goes back to the beginning of what is not closed, again and again).
    """
    text = _Text()
    at = 0
    while (start := html.find("<", at)) >= 0:
        text.add(html[at:start])
        at = _markup(html, start, text)
    text.add(html[at:])
    text.close_link()
    lines = (line.strip() for line in "".join(text.pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def _markup(html: str, start: int, text: _Text) -> int:
    """Take what begins with the ``<`` at ``start``; where the rest begins."""
    if name := _NAME.match(html, start):
        attributes: dict[str, str] = {}
        end = _attributes(html, name.end(), attributes)
        if end < 0:  # no tag without an end: it was meant as text
            text.add(html[start:])
            return len(html)
        tag = name[1].lower()
        if html[start + 1] == "/":
            text.close(tag)
            return end
        text.open(tag, attributes)
        return _end_of_raw(html, end, tag) if tag in _RAW_ENDS else end
    if html.startswith("<!--", start):
        return _after(html, "-->", start + 2)
    if html.startswith(("<!", "<?", "</"), start):
        return _after(html, ">", start + 2)
    text.add("<")
    return start + 1


def _attributes(html: str, at: int, found: dict[str, str]) -> int:
    """Read the attributes of a tag; where the tag has ended, or -1 if it has no end."""
    while True:
        if between := _BETWEEN.match(html, at):
            at = between.end()
        if html.startswith(">", at):
            return at + 1
        attribute = _ATTRIBUTE.match(html, at)
        if attribute is None or (attribute[2] is None and _UNFINISHED.match(html, attribute.end())):
            return -1
        value = attribute[2] or ""
        found.setdefault(attribute[1].lower(), value[1:-1] if value[:1] in ("'", '"') else value)
        at = attribute.end()


def _end_of_raw(html: str, at: int, tag: str) -> int:
    found = _RAW_ENDS[tag].search(html, at)
    return len(html) if found is None else found.start()


def _after(html: str, mark: str, at: int) -> int:
    found = html.find(mark, at)
    return len(html) if found < 0 else found + len(mark)


def _readable(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(_NO_CHARACTER.sub("\ufffd", html)))


class _Text:
    """The text so far, in pieces."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._templates = 0  # how many are open; nobody sees what is in one
        self._link: tuple[str, int] | None = None

    def add(self, html: str) -> None:
        if html and not self._templates:
            self.pieces.append(_readable(html))

    def open(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "template":
            self._templates += 1
        if self._templates:
            return
        if tag in _BLOCKS:
            self.pieces.append("\n- " if tag == "li" else "\n")
        elif tag in _CELLS:
            self.pieces.append(" ")
        elif tag == "a":
            self.close_link()  # there is no link in a link
            self._link = "".join(_readable(attributes.get("href", "")).split()), len(self.pieces)
        elif tag == "img":
            self.add(attributes.get("alt", ""))

    def close(self, tag: str) -> None:
        if tag == "template":
            self._templates = max(0, self._templates - 1)
        elif self._templates:
            return
        elif tag in _BLOCKS:
            self.pieces.append("\n")
        elif tag == "a":
            self.close_link()

    def close_link(self) -> None:
        if self._link is None:
            return
        (address, since), self._link = self._link, None
        if address.lower().startswith(_SCHEMES):
            shown = "".join(self.pieces[since:]).strip()
            scheme, _, rest = address.partition(":")
            target = rest if scheme.lower() in ("mailto", "tel") else address
            if shown != target:
                self.pieces.append(f" ({target})" if shown else target)
