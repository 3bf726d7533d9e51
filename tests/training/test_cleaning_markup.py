"""Texts that were pieces of web pages."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from training.corpus.cleaning import clean
from training.corpus.markup import without_markup
from training.corpus.rules import default

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (
    "<p><i>Under the old bridge</i> of the river town, a boy and his grandmother mend umbrellas "
    "for ghosts.<br /><br>&ldquo;It&#8217;s raining,&rdquo; says one of them &amp; smiles "
    "&#x2014; &amp;quot;but not for me&amp;quot;.</p><!-- more --> [Written by Nobody]"
)
PROSE = (
    "Under the old bridge of the river town, a boy and his grandmother mend umbrellas for ghosts. "
    '"It\'s raining," says one of them & smiles — "but not for me".'
)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_piece_of_a_web_page_becomes_its_prose(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"works.{kind}"
    with path.open("w", newline="", encoding="utf-8") as file:
        if kind == "csv":
            csv.writer(file).writerows([("title", "synopsis"), ("Rain &amp; Rust", PAGE)])
        else:
            file.write(json.dumps({"title": "Rain &amp; Rust", "synopsis": PAGE}))
    (text,) = clean([path], default).texts
    assert (text.title, text.text) == ("Rain & Rust", PROSE)


@pytest.mark.parametrize(
    ("markup", "prose"),
    [
        ("the <b>fox</b>'s <a href='x?a=1&b=2'>den</a>", "the fox's den"),
        ('one<BR/>two<p class="x">three</P>', "one\ntwo\nthree\n"),
        ("&lt;i&gt;soft&lt;/i&gt; and &amp;lt;b&amp;gt;loud", "soft and loud"),
        ("a<style>b { color: red }</style> c<script>d < e</script> f", "a  c  f"),
        ("&quot;&#039;&#x27;&hellip;&eacute;&nbsp;&#128;", "\"''…é\u00a0€"),
    ],
)
def test_tags_go_and_entities_are_characters(markup: str, prose: str) -> None:
    assert without_markup(markup) == prose


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d", "<3 for R&D, Q&A;", "She casts <Sleep> in <Infinite Night>.",
        "<MAIN QUEST> Wake up", "&nosuchsign; &;", "a <b", "AT&T &copy that",
    ],
)  # fmt: skip
def test_what_only_looks_like_markup_stays(text: str) -> None:
    assert without_markup(text) == text
