"""Settings: the file, the environment over it, and one sentence for each fault."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from bot.config import FOREIGN_SECTIONS, MOODS, Mood, Settings, SettingsError

SHIPPED = Path(__file__).parents[2] / "config.toml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def sentences(file: Path) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Settings.load(file)
    return str(raised.value).splitlines()


def test_the_shipped_file_names_every_setting_with_its_default() -> None:
    shipped = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    ours = {name: table for name, table in shipped.items() if name not in FOREIGN_SECTIONS}
    ours["log"]["level"] = ours["log"]["level"].upper()
    secrets: Any = {
        "token": True,
        "models": True,
        "moods": True,
        "generator": {"api_key"},
        "health": {"api_key"},
    }
    defaults = Settings().model_dump(exclude=secrets)
    moods = {name: mood.model_dump(exclude_none=True) for name, mood in MOODS.items()}
    assert ours.pop("moods") == moods
    for section in defaults.values():
        for name in [name for name, value in section.items() if value is None]:
            assert f"# {name} = " in SHIPPED.read_text(encoding="utf-8")
            del section[name]
    assert ours == defaults


def test_the_environment_wins_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[queue]\ntellers = 2\nattempts = 9\n[stories]\nmodel = "from-file"\n')
    monkeypatch.setenv("KATARIBE_QUEUE__TELLERS", "3")
    monkeypatch.setenv("KATARIBE_DATABASE__URL", "sqlite+aiosqlite:///other.db")
    settings = Settings.load(file)
    assert (settings.queue.tellers, settings.queue.attempts) == (3, 9)
    assert settings.stories.model == "from-file"
    assert settings.database.url == "sqlite+aiosqlite:///other.db"


def test_the_generators_own_section_is_not_ours(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('[engine]\nslots = "anything"\n')
    monkeypatch.setenv("KATARIBE_ENGINE__SLOTS", "4")
    assert Settings.load(file) == Settings()


def test_without_a_file_every_default_holds_unless_the_file_was_named(file: Path) -> None:
    assert Settings.load(file) == Settings()
    with pytest.raises(SettingsError, match="there is no such file"):
        Settings.load(file, required=True)


def test_the_token_is_a_secret_from_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "very.secret.token")
    settings = Settings.load(file)
    assert settings.token is not None
    assert settings.token.get_secret_value() == "very.secret.token"
    assert "very.secret" not in repr(settings)
    monkeypatch.setenv("DISCORD_TOKEN", " ")
    assert Settings.load(file).token is None


@pytest.mark.parametrize(
    "content",
    ['token = "x"', '[discord]\ntoken = "x"', 'DISCORD_TOKEN = "x"', '[bot]\nToken = "x"'],
)
def test_a_token_in_the_file_is_refused(file: Path, content: str) -> None:
    file.write_text(content)
    (sentence,) = sentences(file)
    assert "must not hold the bot's token" in sentence
    assert "DISCORD_TOKEN" in sentence


@pytest.mark.parametrize("variable", ["KATARIBE_TOKEN", "KATARIBE_DISCORD__TOKEN"])
def test_the_token_has_one_name(file: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "x")
    (sentence,) = sentences(file)
    assert sentence == f"{variable} is not read: the token is given as DISCORD_TOKEN"


def test_a_servers_key_comes_from_the_environment_only(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATARIBE_GENERATOR__API_KEY", "key one")
    monkeypatch.setenv("KATARIBE_MODELS__FAR__API_KEY", "key two")
    file.write_text('[models.far]\nurl = "http://127.0.0.1:9000/"\n')
    settings = Settings.load(file)
    assert settings.models["far"].url == "http://127.0.0.1:9000"
    keys = (settings.generator.api_key, settings.models["far"].api_key)
    assert [key and key.get_secret_value() for key in keys] == ["key one", "key two"]
    assert "key one" not in repr(settings)
    file.write_text('[generator]\napi_key = "x"\n')
    assert "KATARIBE_GENERATOR__API_KEY" in sentences(file)[0]


def test_a_key_that_no_header_can_hold_is_refused_and_an_empty_one_is_none(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("狐", "two\nlines"):
        monkeypatch.setenv("KATARIBE_GENERATOR__API_KEY", key)
        (sentence,) = sentences(file)
        assert sentence.startswith("KATARIBE_GENERATOR__API_KEY takes a key of ASCII letters")
        assert key not in sentence
    monkeypatch.setenv("KATARIBE_GENERATOR__API_KEY", " ")
    assert Settings.load(file).generator.api_key is None
    monkeypatch.setenv("KATARIBE_GENERATOR__API_KEY", " crane\n")
    kept = Settings.load(file).generator.api_key
    assert kept is not None
    assert kept.get_secret_value() == "crane"


def test_an_address_holds_no_password(file: Path) -> None:
    for section in ("generator", "models.far"):
        file.write_text(f'[{section}]\nurl = "https://user:crane@127.0.0.1:9000"\n')
        (sentence,) = sentences(file)
        assert f"[{section.partition('.')[0]}]" in sentence
        assert "crane" not in sentence


def test_a_further_model_has_a_name_that_can_be_shown(file: Path) -> None:
    for name in ("", " ", "x" * 101):
        file.write_text(f'[models."{name}"]\nurl = "http://127.0.0.1:9000"\n')
        assert sentences(file) == [f"{file}: [models.NAME] takes a name of 1 to 100 characters"]


def test_a_variable_reaches_a_model_however_the_file_spells_its_name(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATARIBE_MODELS__LLAMA__API_KEY", "a key")
    file.write_text('[models.Llama]\nurl = "http://127.0.0.1:9000"\n')
    settings = Settings.load(file)
    assert settings.models.keys() == {"Llama"}
    key = settings.models["Llama"].api_key
    assert key is not None
    assert key.get_secret_value() == "a key"
    # Of two names that differ in case only, it means the one in lower case.
    file.write_text(
        '[models.Llama]\nurl = "http://127.0.0.1:9000"\n'
        '[models.llama]\nurl = "http://127.0.0.1:9001"\n'
    )
    keys = {name: model.api_key is not None for name, model in Settings.load(file).models.items()}
    assert keys == {"Llama": False, "llama": True}
    monkeypatch.delenv("KATARIBE_MODELS__LLAMA__API_KEY")
    file.write_text("models = 3\n")
    assert sentences(file) == [f"{file}: models takes a table of settings"]


def test_a_host_adds_moods_and_changes_ours(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("[moods.dreamy]\ntemperature = 1.4\n[moods.calm]\ntop_k = 5\n")
    monkeypatch.setenv("KATARIBE_MOODS__WILD__TOP_P", "0.5")
    moods = Settings.load(file).moods
    assert moods.keys() == {"calm", "lively", "wild", "article", "dreamy"}
    assert moods["dreamy"] == Mood(temperature=1.4)
    assert (moods["calm"], moods["wild"]) == (Mood(top_k=5), Mood(top_p=0.5))
    assert moods["article"].num_beams == 5


def test_a_wrong_mood_is_one_line(file: Path) -> None:
    file.write_text("[moods.dreamy]\ntemperature = 3\n")
    assert sentences(file) == [
        f"{file}: [moods] dreamy.temperature takes a number from 0 to 2, not 3"
    ]
    file.write_text("[moods.dreamy]\nheat = 3\n")
    assert "dreamy.heat is no setting; there are: min_p, " in sentences(file)[0]
    for name in ("Dreamy", "a b", "x" * 33):
        file.write_text(f'[moods."{name}"]\ntemperature = 1\n')
        assert sentences(file) == [
            f"{file}: [moods.NAME] takes a name of 1 to 32 small letters, digits and hyphens"
        ]
    file.write_text("moods = 3\n")
    assert sentences(file) == [f"{file}: moods takes a table of settings"]


@pytest.mark.parametrize(("section", "name"), [("moods", "temperature"), ("models", "url")])
def test_a_setting_where_a_name_belongs_is_called_a_table(
    file: Path, section: str, name: str
) -> None:
    file.write_text(f"[{section}]\n{name} = 1\n")
    assert sentences(file) == [f"{file}: [{section}] {name} takes a table of settings"]


def test_a_large_limit_is_said_in_digits(file: Path) -> None:
    file.write_text("[votes]\naccount_age = -1\n")
    assert sentences(file) == [
        f"{file}: [votes] account_age takes seconds, a number from 0 to 31536000, not -1"
    ]


@pytest.mark.parametrize(
    ("section", "name", "value", "takes"),
    [
        ("queue", "tellers", '"many"', "a whole number from 1 to 1000, not 'many'"),
        ("queue", "tellers", "0", "a whole number from 1 to 1000, not 0"),
        ("queue", "lease", "0.5", "seconds, a number from 1 to 3600, not 0.5"),
        ("stories", "temperature", "nan", "a number from 0 to 2, not nan"),
        ("stories", "top_p", "0", "a number above 0, up to 1, not 0"),
        ("stories", "model", '""', "a model's name, not ''"),
        ("stories", "text_limit", "99", "a whole number from 100 to 1000000, not 99"),
        ("discord", "api_url", '"discord.com"', "an address such as https://discord.com/api/v10"),
        ("discord", "gateway_url", '"http://x"', "an address such as wss://"),
        ("discord", "shards", '"4-3/16"', "all, or some of up to 16384 such as 0-3/16"),
        ("discord", "shards", '"0-16/16"', "all, or some of up to 16384 such as 0-3/16"),
        ("discord", "shards", '"0/0"', "all, or some of up to 16384 such as 0-3/16"),
        ("discord", "shards", '"-1/2"', "all, or some of up to 16384 such as 0-3/16"),
        ("discord", "shards", '"0/99999"', "all, or some of up to 16384 such as 0-3/16"),
        ("generator", "url", '"127.0.0.1:80"', "an address such as http://127.0.0.1:8000"),
        ("database", "url", '"kataribe.db"', "sqlite+aiosqlite:///FILE or postgresql+asyncpg://"),
        ("database", "url", '"mysql://u:pw@h/d"', "sqlite+aiosqlite:///FILE or postgresql"),
        ("playground", "host", '"0.0.0.0"', "a loopback address"),
        ("playground", "port", "65536", "a whole number from 0 to 65535, not 65536"),
        ("log", "level", '"loud"', "debug, info, warning or error, not 'LOUD'"),
    ],
)
def test_a_wrong_value_is_one_line_that_says_what_the_setting_takes(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    section: str,
    name: str,
    value: str,
    takes: str,
) -> None:
    file.write_text(f"[{section}]\n{name} = {value}\n")
    (sentence,) = sentences(file)
    assert sentence.startswith(f"{file}: [{section}] {name} takes {takes}")
    assert "pw" not in sentence
    file.unlink()
    variable = f"KATARIBE_{section}__{name}".upper()
    monkeypatch.setenv(variable, value.strip('"'))
    (sentence,) = sentences(file)
    assert sentence.startswith(f"{variable} takes {takes.partition(', not')[0]}")


@pytest.mark.parametrize("written", ["0-3/16", "5/6"])
def test_some_shards_are_what_is_written(
    file: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "x")
    file.write_text(f'[discord]\nshards = "{written}"\n')
    shards = Settings.load(file).discord.shards
    assert shards is not None
    assert str(shards) == written
    heard = {shards.hears_of(number << 22) for number in shards.numbers}
    assert heard == {True}
    assert not shards.hears_of(shards.last + 1 << 22)
    assert shards.hears_of(None) == (shards.first == 0)


def test_every_fault_is_named_at_once(file: Path) -> None:
    file.write_text("[queue]\ntellers = 0\nattempts = 0\n[stories]\nmodel = 3\n")
    assert len(sentences(file)) == 3


def test_a_misspelt_name_is_an_error_wherever_it_stands(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("[queue]\nteller = 3\n")
    (sentence,) = sentences(file)
    assert sentence.startswith(f"{file}: [queue] teller is no setting; there are: attempts, ")
    file.write_text("[queues]\ntellers = 3\n")
    (sentence,) = sentences(file)
    assert sentence.startswith(f"{file}: queues is no setting")
    file.write_text("[models.far]\naddress = 3\n")
    assert any("far.address is no setting" in sentence for sentence in sentences(file))
    file.write_text("queue = 3\n")
    assert sentences(file) == [f"{file}: queue takes a table of settings"]
    file.unlink()
    for variable in ("KATARIBE_QUEUE__TELLER", "KATARIBE_QUEU__TELLERS", "KATARIBE_QUEUE"):
        monkeypatch.setenv(variable, "3")
        (sentence,) = sentences(file)
        assert sentence.startswith(f"{variable} is no setting")
        monkeypatch.delenv(variable)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[queue\n", "is not valid TOML"),
        (b"[queue]\ntellers = 1\ntellers = 2\n", "is not valid TOML"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"x = " + 5000 * b"9", "is not valid TOML"),
        (b"x = " + 5000 * b"[", "is not valid TOML"),
    ],
)
def test_a_broken_file_is_one_line(file: Path, content: bytes, sentence: str) -> None:
    file.write_bytes(content)
    (said,) = sentences(file)
    assert sentence in said
    assert str(file) in said


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (said,) = sentences(tmp_path)
    assert "cannot be read" in said


def test_a_story_cannot_be_shorter_than_its_least_length(file: Path) -> None:
    file.write_text("[stories]\nmin_tokens = 100\nmax_tokens = 50\n")
    (sentence,) = sentences(file)
    assert "min_tokens takes at most max_tokens (50), not 100" in sentence


def test_another_discord_needs_a_token(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATARIBE_DISCORD__API_URL", "http://127.0.0.1:1/api/v10/")
    (sentence,) = sentences(file)
    assert "DISCORD_TOKEN is not set" in sentence
    monkeypatch.setenv("DISCORD_TOKEN", "x")
    assert Settings.load(file).discord.api_url == "http://127.0.0.1:1/api/v10"
