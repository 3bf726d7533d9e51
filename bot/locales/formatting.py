"""Filling a text in: numbers and days as a language writes them, and which plural a count takes."""

from __future__ import annotations

import datetime as dt
import re
import string
from functools import cache
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal

CATEGORIES = frozenset({"zero", "one", "two", "few", "many", "other"})
"""Unicode's categories of plural; each language has some of them, and all have `other`."""
_NUMBER = re.compile(r"(?:\.(\d))?n")


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language, sep="-")


def plural(language: str, count: float) -> str:
    """Give the category that a count has in a language: `one` or `other` in English."""
    return str(_locale(language).plural_form(count))


def categories(language: str) -> frozenset[str]:
    """Every category that a count can have in a language."""
    return _locale(language).plural_form.tags | {"other"}


class Filling(string.Formatter):
    """`str.format` with two further kinds of field.

    `{count:n}` is a number as the language writes it, `{mean:.1n}` the same with one decimal place;
    `{day:date}` is a day. What has neither is written as Python does: a seed is copied, not read.
    """

    def __init__(self, language: str) -> None:
        self._locale = _locale(language)

    def format_field(self, value: Any, format_spec: str) -> str:
        """Write one value."""
        if number := _NUMBER.fullmatch(format_spec):
            places = number[1]
            pattern = f"#,##0.{'0' * int(places)}".rstrip(".") if places else None
            return format_decimal(value, pattern, self._locale)
        if format_spec == "date" and isinstance(value, dt.date):
            return format_date(value, "medium", self._locale)
        return str(super().format_field(value, format_spec))


@cache
def filling(language: str) -> Filling:
    """What fills in a language's texts."""
    return Filling(language)
