"""The files for containers: their form, and that each command in them is one that there is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prodrec.apps.cli import parser
from prodrec.apps.server import settings

yaml = pytest.importorskip("yaml", reason='`pip install "prodrec[docs]"` to read YAML')
jsonschema = pytest.importorskip("jsonschema", reason="`pip install jsonschema` to check a schema")
ROOT = Path(__file__).parents[1] / "deploy"
NAME = {"type": "string", "pattern": r"^[a-z][a-z0-9-]{0,62}$"}
COMMAND = {"type": "array", "items": {"type": "string"}, "minItems": 1}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
SERVICE = {
    "type": "object",
    "properties": {
        "build": {
            "properties": {"context": {"type": "string"}, "args": TEXTS},
            "additionalProperties": False,
        },
        "command": COMMAND,
        "deploy": {"properties": {"replicas": {"type": "integer", "minimum": 1}}},
        "environment": TEXTS,
        "healthcheck": {"required": ["test", "interval"]},
        "image": {"type": "string"},
        "restart": {"enum": ["unless-stopped"]},
    }
    | dict.fromkeys(
        ("cap_drop", "depends_on", "ports", "read_only", "security_opt", "shm_size")
        + ("stop_grace_period", "tmpfs", "volumes"),
        {},
    ),
    "required": ["image"],
    "additionalProperties": False,
}
CONTAINER = {
    "type": "object",
    "required": ["name", "image", "resources"],
    "properties": {"name": NAME, "command": COMMAND, "args": COMMAND}
    | dict.fromkeys(
        ("env", "image", "lifecycle", "livenessProbe", "ports", "readinessProbe", "resources")
        + ("volumeMounts",),
        {},
    ),
    "additionalProperties": False,
}
POD = {
    "required": ["containers"],
    "properties": {"containers": {"type": "array", "items": CONTAINER, "minItems": 1}}
    | dict.fromkeys(("securityContext", "terminationGracePeriodSeconds", "volumes"), {}),
    "additionalProperties": False,
}
OBJECT = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"enum": ["v1", "apps/v1"]},
        "kind": {"enum": ["Deployment", "PersistentVolumeClaim", "Service", "StatefulSet"]},
        "metadata": {"required": ["name"], "properties": {"name": NAME}},
        "spec": {"properties": {"template": {"properties": {"spec": POD}}}},
    },
    "additionalProperties": False,
}


def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def objects() -> list[dict]:
    return [*yaml.safe_load_all((ROOT / "kubernetes.yaml").read_text(encoding="utf-8"))]


def containers() -> list[dict]:
    pods = [o["spec"]["template"]["spec"] for o in objects() if "template" in o["spec"]]
    return [c for pod in pods for c in pod["containers"]]


def test_compose_has_its_form():
    found = compose()
    for service in found["services"].values():
        jsonschema.validate(service, SERVICE)
        needs = service.get("depends_on", [])
        assert {*needs} <= {*found["services"]}
    assert found["services"]["shop"]["deploy"]["replicas"] == 3
    volumes = [v for s in found["services"].values() for v in s.get("volumes", [])]
    named = {v.partition(":")[0] for v in volumes if not v.startswith(".")}
    assert named == {*found["volumes"]}
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    assert asked == {"PRODREC_API_KEY", "POSTGRES_PASSWORD"}


def test_kubernetes_has_its_form():
    for made in objects():
        jsonschema.validate(made, OBJECT)
        if "template" in made["spec"]:
            labels = made["spec"]["template"]["metadata"]["labels"]
            assert made["spec"]["selector"]["matchLabels"] == labels
            pod, mounted = made["spec"]["template"]["spec"], set()
            for container in pod["containers"]:
                mounted |= {m["name"] for m in container.get("volumeMounts", [])}
            claims = made["spec"].get("volumeClaimTemplates", [])
            there = [*pod.get("volumes", []), *(c["metadata"] for c in claims)]
            assert mounted == {v["name"] for v in there}
    kinds = [o["metadata"]["name"] for o in objects() if o["kind"] == "Service"]
    apps = {o["metadata"]["name"] for o in objects() if "template" in o["spec"]}
    assert {*kinds} <= apps
    shop = next(o for o in objects() if o["metadata"]["name"] == "shop" and "replicas" in o["spec"])
    assert shop["spec"]["replicas"] == 3
    assert shop["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def commands() -> list[list[str]]:
    found = [s["command"] for s in compose()["services"].values() if "command" in s]
    found += [c["command"] for c in containers() if "command" in c]
    return [list(c) for c in dict.fromkeys(map(tuple, found))]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_each_command_is_one_that_there_is(command):
    if command[0] == "prodrec":
        assert parser().parse_args(command[1:]).folder == "."
        return
    if command[0] == "dask":
        pytest.importorskip("distributed", reason='`pip install "prodrec[cluster]"`')
        module = f"distributed.cli.dask_{command[1]}"
        called = [sys.executable, "-m", module, "--help"]
        told = subprocess.run(called, capture_output=True, text=True, timeout=60).stdout
        assert all(o in told for o in command if o.startswith("--")), told
        return
    assert command[0] == "postgres"
    settings = [part.partition("=")[0] for part in command if "=" in part]
    assert settings == ["shared_buffers", "maintenance_work_mem"]


def test_the_variables_are_those_that_the_server_reads():
    given = {n: "postgresql://db/x" for n in compose()["services"]["shop"]["environment"]}
    assert settings(given)["database"] == "postgresql://db/x"
    own = {e["name"] for c in containers() for e in c.get("env", []) if "PRODREC" in e["name"]}
    assert own == {"PRODREC_API_KEY", "PRODREC_DATABASE", "PRODREC_HOSTS", "PRODREC_VECTORS"}


def test_kubectl_and_docker_take_them_where_they_are():
    "On a machine with an engine; elsewhere the form above has to do."
    asked = ["docker", "compose", "version"]
    if not shutil.which("docker") or subprocess.run(asked, capture_output=True).returncode:
        pytest.skip("there is no `docker compose` to ask")
    called = ["docker", "compose", "-f", str(ROOT / "compose.yaml"), "config", "-q"]
    values = os.environ | {"PRODREC_API_KEY": "a", "POSTGRES_PASSWORD": "b"}
    assert subprocess.run(called, env=values, timeout=60).returncode == 0
