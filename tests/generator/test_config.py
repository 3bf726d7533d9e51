from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from generator.config import ConfigError, EngineSettings, load_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_the_shipped_file_names_every_setting_with_its_default() -> None:
    shipped = Path(__file__).parents[2] / "config.toml"
    given = tomllib.loads(shipped.read_text(encoding="utf-8"))["engine"]
    assert set(given) == set(EngineSettings.model_fields) - {"api_keys"}
    assert load_settings({}, file=shipped) == EngineSettings()


def test_without_a_file_the_defaults_hold(file: Path) -> None:
    assert load_settings({}, file=file) == EngineSettings()


def test_the_command_wins_over_the_environment_and_that_over_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("[engine]\nslots = 3\nwaiting = 4\nport = 5\n[queue]\ntellers = 8\n")
    monkeypatch.setenv("KATARIBE_ENGINE__WAITING", "40")
    monkeypatch.setenv("KATARIBE_ENGINE__PORT", "50")
    settings = load_settings({"port": "500"}, file=file)
    assert (settings.slots, settings.waiting, settings.port) == (3, 40, 500)


def test_keys_come_from_the_environment_and_are_never_printed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATARIBE_ENGINE__API_KEYS", "crane, turtle,")
    settings = load_settings({}, file=file)
    assert settings.bearer_keys() == [b"crane", b"turtle"]
    assert "crane" not in repr(settings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "my-machine"])  # noqa: S104
def test_others_are_let_in_with_keys_only(
    host: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"host": host}, file=file)
    assert str(caught.value) == (
        f"engine.host {host} is open to others: give the keys that its clients show, as "
        "KATARIBE_ENGINE__API_KEYS, or take 127.0.0.1."
    )
    monkeypatch.setenv("KATARIBE_ENGINE__API_KEYS", "crane")
    assert load_settings({"host": host}, file=file).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_this_machine_nobody_needs_a_key(host: str, file: Path) -> None:
    assert load_settings({"host": host}, file=file).host == host


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("slots = 0", "engine.slots takes a whole number from 1 to 1024, not 0"),
        ("slots = 2.5", "engine.slots takes a whole number from 1 to 1024, not 2.5"),
        ("port = 70000", "engine.port takes a whole number from 0 (any) to 65535, not 70000"),
        ("device = 'tpu'", "engine.device takes auto, cpu or cuda, not 'tpu'"),
        ("memory = nan", "engine.memory takes a number of GiB, 0 for half of the machine's"),
        ("sluts = 2", "engine.sluts is no setting of the generator; [engine] has host, port"),
        ("slots = ", "config.toml is not valid TOML"),
        ("slots = " + 5000 * "9", "config.toml is not valid TOML"),
        ("slots = " + 5000 * "[", "config.toml is not valid TOML"),
        ("api_keys = 'crane'", "config.toml must not hold api_keys: they are secrets."),
    ],
)
def test_a_wrong_value_is_one_line_that_says_what_the_setting_takes(
    line: str, sentence: str, file: Path
) -> None:
    file.write_text(f"[engine]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings({}, file=file)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_one_line(file: Path) -> None:
    file.write_bytes(b"[engine]\n\xff")
    with pytest.raises(ConfigError, match=r"config\.toml is not UTF-8 text \(byte 9\)"):
        load_settings({}, file=file)


def test_a_wrong_environment_is_named_as_such(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATARIBE_ENGINE__SLOTS", "many")
    with pytest.raises(ConfigError, match=r"not 'many' .*KATARIBE_ENGINE__SLOTS"):
        load_settings({}, file=file)


def test_a_wrong_section_is_one_line_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("engine = 3\n")
    with pytest.raises(ConfigError, match="engine takes a table"):
        load_settings({}, file=file)
    for value in ("{", 5000 * '{"slots":'):
        monkeypatch.setenv("KATARIBE_ENGINE", value)
        with pytest.raises(ConfigError, match="KATARIBE_ENGINE takes a JSON object"):
            load_settings({}, file=file)


def test_a_key_may_be_bytes_that_are_no_text(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATARIBE_ENGINE__API_KEYS", os.fsdecode(b"cr\xe2ne"))
    assert load_settings({}, file=file).bearer_keys() == [b"cr\xe2ne"]
