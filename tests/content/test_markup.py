"""HTML as text: what a person reads of it, all of it, and in time that grows with its length and not faster."""

from __future__ import annotations

import pytest

from roomkit_core.content.markup import text_of_html

MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<head><title>x</title><body>hello", "hello"),
        ("<tr><td>1<td>2</tr><tr><th>a</th><th>b</th></tr>", "1 2\na b"),
        ("<nav>a</nav><figure>b<figcaption>c</figcaption></figure>d", "a\nb\nc\nd"),
        ('see <a href=" HTTPS://example.org/A ">it</a>', "see it (HTTPS://example.org/A)"),
        ('<a href="https://example.org">it', "it (https://example.org)"),
        (
            '<a href="https://a.example">a<a href="https://b.example">b</a>',
            "a (https://a.example)b (https://b.example)",
        ),
        ('<a href="https://example.org/&#10;- Buy">it</a>', "it (https://example.org/-Buy)"),
        ("<a href='javascript:x()'>it</a>", "it"),
        ("a<template><li>x<img alt=y><a href='https://z'>z</a></template>b", "ab"),
        ("a<![a]>b<![CDATA[c]]>d<?php e ?>f<!doctype html>g</ x>h", "abdfgh"),
        ("a<!-- b > c -->d<!-->e", "ade"),
        ("1 < 2 <3 & a <b", "1 < 2 <3 & a <b"),
        ("<p class=it's>a</p>b don't c", "a\nb don't c"),
        ('<p title="a > b">c</p>', "c"),
        ("a<SCRIPT>if (x </y>) </b></script >b<style>x", "ab"),
        ("a<br/>b<br>c", "a\nb\nc"),
        ("&lt;b&gt; &eacute;&#233;", "<b> éé"),
        ("&#" + "1" * 5_000 + ";a", "\ufffda"),
    ],
)
def test_html_is_read_as_a_person_would_see_it(html: str, text: str) -> None:
    assert text_of_html(html) == text


@pytest.mark.parametrize(
    "piece",
    [
        *("<", "<a", "<a ", "<a x ", "<a x='", '<a b="', "<a x=1\n", "<!", "<!--", "<!-- --!", "<![CDATA[", "<?", "</"),
        *(
            "</a",
            "&",
            "&#1",
            "<script>",
            "<script></s",
            "<style></style",
            "<title>",
            "<li>",
            " =",
            "<a href='https://a'>",
        ),
    ],
)
def test_a_megabyte_of_anything_comes_to_an_end(piece: str) -> None:
    """Work that grows with the square of the length takes many minutes here and runs into the limit of the test."""
    text_of_html(piece * (MEGABYTE // len(piece)))
    text_of_html("<a" + piece * (MEGABYTE // len(piece)))
