"""The file for Kubernetes, as Ray Serve and we read what stands in it."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from generator.cluster.shares import ClusterSettings
from generator.config import ConfigError, load_settings

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason="no Ray here: its file is not read (pip install '.[cluster]')"
)

FILE = Path(__file__).parents[3] / "deploy" / "rayservice.yaml"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's own, of pydantic
def test_serve_and_we_understand_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415  # only where Ray is

    spec = yaml.safe_load(FILE.read_text("utf-8"))["spec"]
    said: dict[str, Any] = yaml.safe_load(spec["serveConfigV2"])
    read = ServeDeploySchema.model_validate(said)
    (application,) = read.applications
    # It lets pass what it does not know, so nothing may have been lost.
    assert said.keys() <= ServeDeploySchema.model_fields.keys()
    assert said["applications"][0].keys() <= type(application).model_fields.keys()

    module, _, name = application.import_path.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    given: dict[str, Any] = said["applications"][0]["args"]
    assert given.keys() == {"engine", "cluster"}
    cluster = ClusterSettings.checked(given["cluster"])
    with pytest.raises(ConfigError, match="give the keys"):
        load_settings(given["engine"])
    monkeypatch.setenv("KATARIBE_ENGINE__API_KEYS", "crane")
    load_settings(given["engine"])

    (workers,) = spec["rayClusterConfig"]["workerGroupSpecs"]
    assert workers["maxReplicas"] >= cluster.max_replicas
    (container,) = workers["template"]["spec"]["containers"]
    assert int(container["resources"]["limits"]["cpu"]) >= cluster.cores
    assert workers["template"]["spec"]["terminationGracePeriodSeconds"] > cluster.drain


def test_a_cluster_that_others_could_ask_wants_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    from generator.cluster.application import build  # noqa: PLC0415  # only where Ray is
    from generator.cluster.process import run  # noqa: PLC0415  # the same
    from generator.server.process import StartError  # noqa: PLC0415  # the same

    monkeypatch.delenv("KATARIBE_ENGINE__API_KEYS", raising=False)
    with pytest.raises(ConfigError, match="give the keys"):
        build({"engine": {"host": "127.0.0.1"}})
    with pytest.raises(StartError, match="give the keys"):
        run(load_settings({}), ClusterSettings.checked({}), address="auto")
