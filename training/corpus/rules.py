"""What becomes of a synopsis before a model reads it: the article's rules, and better ones.

A rule set turns a row into its clean text or into the `Drop` that says why it is left out.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import TYPE_CHECKING

from training.corpus.markup import without_markup

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.corpus.rows import Row

    Rules = Callable[[Row], "str | Drop"]


class Drop(StrEnum):
    """Why a text is left out of the corpus."""

    EMPTY = "empty"
    PLACEHOLDER = "a placeholder, not a synopsis"
    GENRE = "Hentai or Kids"
    SHORT = "too short"
    LONG = "too long"
    META = "about a production, not a story"
    LANGUAGE = "not English"
    DUPLICATE = "the same text as an earlier row"
    NEAR_DUPLICATE = "nearly the same text as an earlier row"
    LEAK = "of a franchise held out for validation or test"


_ARTICLE_META = ("adaptation", "music video", "based on", "spin-off")
_ARTICLE_SYMBOLS = str.maketrans("", "", "&#/@`)(;<='\"$%>")


def article(row: Row) -> str | Drop:
    """The article's cleaning, in its order, faults included (Mishra 2020).

    Length is counted before cutting, quotes and apostrophes go, and nobody looks for duplicates.
    """
    if _unwanted(row.genres):
        return Drop.GENRE
    length = len(row.text.split())
    if length <= 30:  # noqa: PLR2004  # the article's bounds
        return Drop.SHORT
    if length > 300:  # noqa: PLR2004
        return Drop.LONG
    text = row.text.split("(Source")[0].split("[Written ")[0]
    text = re.sub(r"[^\x00-\x7f]+", " ", text).translate(_ARTICLE_SYMBOLS)
    if any(word in text.lower() for word in _ARTICLE_META):
        return Drop.META
    return " ".join(text.split())


MIN_WORDS, MAX_WORDS = 20, 300

_PLACEHOLDER = re.compile(
    r"no synopsis|synopsis (information )?(has|is) not|no overview|no description|"
    r"to be announced|\btba\b|coming soon|please add",
    re.IGNORECASE,
)
# What follows one of these is a credit, never the story.
_CREDIT = re.compile(
    r"[(\[]\s*(source|written by|adapted from|from|via|translated|edited)\b[^)\]]*[)\]]?\s*"
    r"|\bsources?\s*:.*|\(\s*courtesy of.*|\bincluded one-?shots?\s*:.*|^\s*notes?\s*:.*",
    re.IGNORECASE | re.MULTILINE,
)
# A sentence like these speaks of the publication.
_META = re.compile(
    r"\badaptations?\b|\badapted (from|into)\b|\bmusic videos?\b|\bspin-?offs?\b|\bdvds?\b|"
    r"\bblu-?rays?\b|\bbased (up)?on (the|a|an) .*\b(manga|novel|game|comic|anime|book|series|play|"
    r"story|film|movie|character)|\bova\b|\bonas?\b|\bepisodes?\b|\btv (series|special|anime)\b|"
    r"\brecap\b|\bprequel\b|\bsequel\b|\bone-?shots?\b|\b(original|the|this) (manga|anime)\b|"
    r"\bmanhwa\b|\bwebtoon|\bserialized\b|\bshort film\b|\banimated\b|\banimation\b|"
    r"\bdirected by\b|https?:|www\.",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+(?=[\"'(A-Z0-9])")
_FOREIGN = re.compile(r"[\u0370-\u1dff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef]")
_BRACKETED_FOREIGN = re.compile(
    rf"\s*[(\[][^()\[\]]*{_FOREIGN.pattern}[^()\[\]]*[)\]]", re.IGNORECASE
)
_PLAIN = str.maketrans(
    {
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "「": '"', "」": '"', "『": '"',
        "』": '"', "‘": "'", "’": "'", "‚": "'", "´": "'", "`": "'", "…": "...", "–": "—",  # noqa: RUF001  # the signs to be replaced
        "―": "—", "\u00a0": " ", "\u200b": "", "\ufeff": "", "\u00ad": "", "~": "", "*": "",
    }
)  # fmt: skip
_FUNCTION_WORD = re.compile(
    r"\b(the|of|and|an?|to|in|is|his|her|with|that|for|as|s?he|they|it|on|who|from|by|their|but|be|"
    r"when|at|has|one|are|this|him|was|into|have|not|them|which)\b"
)
_ENGLISH_SHARE = 0.15
"""Of a text's words, at least this many are function words; English prose has about 0.4."""


def default(row: Row) -> str | Drop:
    """Keeps what is a story in English prose, whole and readable.

    Unlike the article's rules it cuts credits wherever they stand, removes sentences about the
    publication instead of the whole text, keeps quotes and apostrophes, and counts words last.
    """
    if _unwanted(row.genres):
        return Drop.GENRE
    text = unicodedata.normalize("NFC", without_markup(row.text)).translate(_PLAIN)
    if not text.strip():
        return Drop.EMPTY
    if len(text) < 200 and _PLACEHOLDER.search(text):  # noqa: PLR2004  # longer ones tell a story
        return Drop.PLACEHOLDER
    if len(_FOREIGN.findall(text)) > len(text) / 10:
        return Drop.LANGUAGE
    text = _without_credits(text)
    sentences = _SENTENCE_END.split(text)
    story = " ".join(sentence for sentence in sentences if not _META.search(sentence))
    return _fault(story, before=text) or story[0].upper() + story[1:]


def _without_credits(text: str) -> str:
    """The prose alone, its white space and dashes made even."""
    text = _CREDIT.sub(" ", text)
    text = _FOREIGN.sub("", _BRACKETED_FOREIGN.sub("", text))
    text = re.sub(r"\(\s*\)|\[\s*\]|\"\s*\"", "", text)
    return " ".join(re.sub(r"\s*--+\s*", "—", text).split())


def _fault(story: str, before: str) -> Drop | None:
    """Why a stripped story is still none; `before` had its sentences about the publication."""
    words = len(story.split())
    if words < MIN_WORDS:
        return Drop.SHORT if len(before.split()) < MIN_WORDS else Drop.META
    if words > MAX_WORDS:
        return Drop.LONG
    if len(_FUNCTION_WORD.findall(story.lower())) < _ENGLISH_SHARE * words:
        return Drop.LANGUAGE
    return None


def fingerprint(text: str) -> str:
    """Equal for texts that differ only in case, spaces and punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _unwanted(genres: str) -> bool:
    return "Hentai" in genres or "Kids" in genres


RULES: dict[str, Rules] = {"default": default, "article": article}
