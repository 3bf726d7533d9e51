"""What the documents name is there: files, headings, settings, commands and their options."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

import bot.__main__
import generator.__main__
import training.__main__
from bot.config import RemoteModel, Settings
from generator.config import EngineSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "models/*/README.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
PROGRAMS = {
    "bot": bot.__main__.main,
    "generator": generator.__main__.main,
    "training": training.__main__.main,
}
PLACEHOLDERS = {"SECTION", "section"}
# Folders of ours; what a reader puts into models/ has names of its own.
ROOMS = ("bot", "generator", "training", "tests", "docs", "migrations", ".ci")

of_each = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def spans(document: Path) -> Iterator[str]:
    """What stands in backticks within a line."""
    outside = re.sub(r"^( *)```.*?^\1```", "", text_of(document), flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", outside)


@cache
def anchors(document: Path) -> set[str]:
    """How a link names the headings, as GitHub makes it."""
    headings = re.findall(r"^#+ +(.+)$", text_of(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def settings() -> set[str]:
    """Every setting, as `section.name`."""
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    sections |= {"engine": EngineSettings}
    return {
        f"{section}.{name}"
        for section, of in sections.items()
        if isinstance(of, type) and issubclass(of, BaseModel)
        for name in of.model_fields
    }


@cache
def help_of(program: str, command: str) -> str | None:
    """What a command says of itself; None: there is no such command."""
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr(
            "argparse.ArgumentParser._print_message", lambda _, text, *__: said.append(text)
        )
        with pytest.raises(SystemExit) as ended:
            PROGRAMS[program]([command, "--help"] if command else ["--help"])
    return "".join(said) if ended.value.code == 0 else None


@of_each
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


@of_each
def test_every_path_of_ours_exists(document: Path) -> None:
    for span in spans(document):
        if re.fullmatch(r"[\w.-]+(/[\w.-]*)+", span) and span.split("/")[0] in ROOMS:
            assert (ROOT / span).exists(), span
        elif re.fullmatch(r"[\w-]+\.md", span):
            assert (document.parent / span).exists() or (ROOT / span).exists(), span


@of_each
def test_every_setting_exists(document: Path) -> None:
    text = text_of(document)
    named = re.findall(r"KATARIBE_([A-Z]+)__([A-Z_-]+)", text) + [
        pair for span in spans(document) for pair in re.findall(r"\[(\w+)\] (\w+)", span)
    ]
    for section, name in named:
        if section in PLACEHOLDERS:
            continue
        if section == "MODELS":
            assert name.rpartition("__")[2].lower() in RemoteModel.model_fields, name
        else:
            assert f"{section}.{name}".lower() in settings()


@of_each
def test_every_command_and_its_options_exist(document: Path) -> None:
    for program, words in re.findall(r"python -m (\w+)\b([^`\n]*)", text_of(document)):
        if program not in PROGRAMS:
            continue
        command = next(iter(re.findall(r"^ ([a-z]+)\b", words)), "")
        said = help_of(program, command)
        assert said is not None, f"python -m {program} {command}"
        for option in re.findall(r"(?<=\s)--[a-z][a-z-]*", words):
            assert re.search(rf"{option}\b", said), f"python -m {program} {command} {option}"


@of_each
def test_every_file_of_a_room_that_is_drawn_is_named(document: Path) -> None:
    for rooms, about in re.findall(r"^\| (`[^|]+`) \| (.+) \|$", text_of(document), re.MULTILINE):
        room = ROOT / rooms.strip("`")
        named = set(re.findall(r"`([^`]+)`", about))
        files = {path.stem for path in room.glob("*.py")} - {"__init__", "__main__"}
        if room.is_dir() and files & named:
            assert files <= named, f"{rooms}: {sorted(files - named)}"


def test_the_picture_of_the_floors_is_what_make_check_holds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors = {
        contract["containers"][0]: [re.sub(r"[()]", "", layer) for layer in contract["layers"]]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    }
    picture = re.search(
        r"^```\n(bot/ .*?)^```", text_of(ROOT / "docs/architecture.md"), re.DOTALL | re.MULTILINE
    )
    assert picture is not None
    head, *lines = picture[1].splitlines()
    packages = head.split()
    edges = [*map(head.index, packages), None]
    for package, begin, end in zip(packages, edges, edges[1:], strict=False):
        column = [line[begin:end].strip() for line in lines]
        assert [floor for floor in column if floor] == floors.pop(package.rstrip("/"))
    assert not floors
