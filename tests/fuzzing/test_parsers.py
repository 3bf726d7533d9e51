"""What reads what others wrote refuses in its own words, or reads it: nothing else comes out."""

from __future__ import annotations

import asyncio
import json
import os
import re
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.config import Settings, SettingsError
from bot.safety.beginnings import PromptRefusedError, checked_prompt
from bot.safety.escaping import escaped
from bot.safety.graphemes import length
from bot.worker.event_stream import EventError, events
from bot.worker.refusals import LONGEST_RETRY_AFTER, _seconds
from generator.config import ConfigError, EngineSettings, load_settings
from generator.server.errors import ApiError
from generator.server.protocol import CompletionRequest
from tests.fuzzing.requests import JSON
from training.corpus.reading import read_rows
from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from hypothesis.strategies import SearchStrategy

LIMIT = 60

often = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def near(*parts: bytes) -> SearchStrategy[bytes]:
    """Bytes made of such parts, and of any others."""
    return st.lists(st.sampled_from(parts) | st.binary(max_size=8), max_size=20).map(b"".join)


async def read_events(pieces: Sequence[bytes]) -> list[str] | str:
    async def arriving() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    found: list[str] = []
    try:
        async for event in events(arriving()):
            found += [event]
    except EventError as error:
        return str(error)
    return found


@often
@given(near(b"data: ", b"\n", b"\r", b"\n\n", b"{}", b":", "\ufeff夜".encode()), st.data())
def test_a_stream_says_the_same_wherever_it_is_cut(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[begin:end] for begin, end in pairwise(edges)]
    whole, cut = (asyncio.run(read_events(each)) for each in ([stream], pieces))
    assert cut == whole


dates = st.tuples(
    st.sampled_from(["Mon", "?"]), st.integers(-1, 32), st.sampled_from(["Jan", "Feb", "?"]),
    st.integers(0, 10**30), st.integers(-1, 25), st.sampled_from(["GMT", "-9999", "+2460", ""]),
).map(lambda p: "{}, {} {} {} {}:00:00 {}".format(*p))  # fmt: skip


@often
@given(st.text(max_size=40) | st.floats().map(str) | dates)
def test_a_time_to_come_back_is_within_its_bounds(later: str) -> None:
    assert 0 < _seconds(later) <= LONGEST_RETRY_AFTER


def rows_of(name: str, content: bytes) -> None:
    with TemporaryDirectory() as folder, suppress(InputError):
        file = Path(folder) / name
        file.write_bytes(content)
        for row in read_rows(file):
            assert row.number > 0


@often
@given(near(b"title,synopsis\n", b'"', b",", b";", b"\n", b"\r\n", b"\x00", b"\xff\xfe", b"word "))
def test_any_csv_is_read_or_refused(content: bytes) -> None:
    rows_of("a.csv", b"title,synopsis\n" + content)
    rows_of("a.csv", content)


lines = (st.dictionaries(st.sampled_from(["title", "synopsis", "genres"]), JSON) | JSON).map(
    lambda given: json.dumps(given).encode()
)


@often
@given(st.lists(lines | st.binary(max_size=30), max_size=6).map(b"\n".join))
def test_any_json_lines_are_read_or_refused(content: bytes) -> None:
    rows_of("a.jsonl", content)
    rows_of("a.jsonl", b"[" * 100_000 + content)
    rows_of("a.parquet", content)


members = st.lists(
    st.sampled_from(
        ["In the year", "<@1", ">", "@everyone", "discord", ".gg/", "\u200b", "\u202e", "👩‍👩‍👧",
         "\u0301", "https", "://", "`", "||", "\n"]
    )
    | st.text(max_size=6),
    max_size=12,
).map("".join)  # fmt: skip


@often
@given(members)
def test_a_beginning_is_kept_as_it_is_shown_or_refused(given: str) -> None:
    try:
        kept = checked_prompt(given, LIMIT)
    except PromptRefusedError:
        return
    assert length(kept) <= LIMIT
    assert kept == checked_prompt(kept, LIMIT)
    assert re.search(r"(?<!\\)<@1|@everyone", escaped(kept)) is None


bodies = st.fixed_dictionaries(
    {"model": st.just("m") | JSON},
    optional=dict.fromkeys(set(CompletionRequest.model_fields) - {"model"}, JSON | st.just(1)),
).map(lambda body: json.dumps(body).encode())


@often
@given(
    bodies | near(b'{"model": "m"', b', "prompt": ', b'"In"', b"[", b"]", b"}", b"1e999", b"NaN")
)
def test_any_body_is_a_request_or_one_sentence(body: bytes) -> None:
    refused = None
    try:
        CompletionRequest.parse(body)
    except ApiError as error:
        refused = error
    if refused is not None:
        assert 400 <= refused.status < 500
        assert str(refused).count("\n") == 0 < len(str(refused))


def toml(section: str, model: Any) -> SearchStrategy[str]:
    names = st.sampled_from([*model.model_fields, "nothing"])
    values = st.sampled_from(
        ["0", "-1", "1e400", "nan", "true", '""', '"x"', "'127.0.0.1'", "[]", "{}", "1979-05-27",
         "9223372036854775808", '"\\u0000"', "[[]]", '"sqlite+aiosqlite:///"', '"http://["']
    )  # fmt: skip
    line = st.tuples(names, values).map(" = ".join)
    return st.lists(line, max_size=4).map(lambda lines: "\n".join([f"[{section}]", *lines, ""]))


SECTIONS = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if hasattr(field.annotation, "model_fields")
}
files = st.lists(
    st.one_of(*(toml(name, model) for name, model in SECTIONS.items()), st.text(max_size=20)),
    max_size=3,
).map("".join)


def load(reader: Callable[[Path], object], text: str, error: type[Exception]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_bytes(text.encode(errors="surrogatepass"))
        with suppress(error):
            reader(file)


@often
@given(files)
def test_any_file_of_settings_is_read_or_refused(text: str) -> None:
    load(Settings.load, text, SettingsError)


@often
@given(toml("engine", EngineSettings) | st.text(max_size=20) | st.just("\ud800"))
def test_any_file_of_the_generators_settings_is_read_or_refused(text: str) -> None:
    load(lambda file: load_settings({}, file=file), text, ConfigError)
