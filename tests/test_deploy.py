"""What a host takes from `deploy/`, looked at as far as it can be without their machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from bot.config import Settings
from bot.worker.metrics import Metrics
from generator.cluster.merging import Answer, merged
from generator.config import EngineSettings
from generator.engine.registry import Registry
from generator.server.metrics import Metrics as GeneratorMetrics

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


def measured() -> set[str]:
    """Every name on the pages for Prometheus, without what a histogram hangs on it."""
    generator = GeneratorMetrics(Registry(EngineSettings())).page()
    cluster = merged("/metrics", [Answer("a", HTTPStatus.OK, body=generator)])
    assert cluster is not None
    pages = Metrics().page({}, {}, 0) + generator + cluster.body
    return set(re.findall(r"^# TYPE (\w+)", pages.decode(), re.MULTILINE))


def test_the_dashboard_draws_what_is_measured() -> None:
    dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    known, drawn = measured(), set()
    for panel in dashboard["panels"]:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            names = re.findall(r"\b(?:kataribe|process)_\w+", target["expr"])
            assert names, target
            # Of many processes: each draws a line of its own, or they are one.
            assert re.search(r"\b(?:sum|max|count)(?: by \(|\()", target["expr"]), target
            drawn |= {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    assert drawn <= known, drawn - known
    ours = {name for name in known if name.startswith("kataribe_bot_")}
    assert {name for name in ours if not name.endswith("_created")} - drawn == {
        "kataribe_bot_servers"
    }


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = (DEPLOY / "kataribe.service").read_text(encoding="utf-8")
    program = tmp_path / ".venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    file = tmp_path / "kataribe.service"
    file.write_text(unit.replace("/srv/kataribe", str(tmp_path)), encoding="utf-8")
    said = subprocess.run(
        ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_the_container_is_built_of_what_is_there() -> None:
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1:-1] for line in lines if re.match(r"COPY (?!--from)", line)]
    for name in (name for names in copied for name in names):
        assert (DEPLOY.parent / name).exists(), name
    text = "\n".join(lines)
    assert "USER 10001" in text
    assert "/health" in text
    named = dict(re.findall(r"(KATARIBE_\w+)=(\S+)", text))
    with pytest.MonkeyPatch.context() as patched:
        for name, value in named.items():
            patched.setenv(name, value)
        settings = Settings.load(DEPLOY.parent / "config.toml")
    assert settings.health.port == 8889


def test_every_package_is_locked_with_digests_at_the_version_that_is_tested() -> None:
    pins = [
        line
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert re.findall(r"^(\S+==\S+) \\\n    --hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE) == pins
