"""What the tests look at: the rendered manifests, and what the code says."""

import functools
import os
import pathlib
import subprocess
import tempfile
import tomllib

import yaml

from generate import ROOT, SERVICES

KUBERNETES = ROOT / "deploy/k8s"
OVERLAYS = ("development", "production", "production-gateway")
COMMANDS = "goalpost"
PROGRAM = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/goalpost"
SECRET_FILE = "_FILE"


def rendered(folder):
    """The objects that `kubectl apply --kustomize` would send."""
    made = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    if made.returncode != 0 or made.stderr:
        raise AssertionError(f"{folder} cannot be rendered without complaint:\n{made.stderr}")
    return [one for one in yaml.safe_load_all(made.stdout) if one]


@functools.cache
def overlay_text(name):
    return yaml.safe_dump_all(rendered(KUBERNETES / "overlays" / name))


def overlay(name):
    """A copy of its own for each caller."""
    return list(yaml.safe_load_all(overlay_text(name)))


@functools.cache
def examples():
    return rendered(KUBERNETES / "examples")


def kind(objects, *kinds):
    return [one for one in objects if one["kind"] in kinds]


def named(objects, which, name):
    return next((one for one in kind(objects, which) if one["metadata"]["name"] == name), None)


def name(one):
    return f"{one['kind']} {one['metadata']['name']}"


def template(one):
    """The pods that an object makes."""
    spec = one["spec"]
    return (spec["jobTemplate"]["spec"] if one["kind"] == "CronJob" else spec)["template"]


def workloads(objects):
    return kind(objects, "Deployment", "Job", "CronJob")


def service_of(deployment):
    return deployment["metadata"]["name"].removeprefix("goalpost-")


def environment(objects, container):
    """Names and values of what a container is given, ConfigMaps included; a Secret's value is None."""
    given = {}
    for source in container.get("envFrom", []):
        given |= named(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    return given | {one["name"]: one.get("value") for one in container.get("env", [])}


def defaults(service):
    return tomllib.loads((ROOT / f"services/{service}/default.toml").read_text())


@functools.cache
def _checked(service, given):
    if not PROGRAM.exists():
        raise AssertionError("build it first: cargo build --workspace --bin goalpost")
    with tempfile.TemporaryDirectory() as folder:
        env = {}
        for key, value in given:
            if key.endswith(SECRET_FILE):
                path = pathlib.Path(folder) / key
                path.write_text("amqp://bus" if "BUS" in key else "postgres://database")
                value = str(path)
            env[key] = value
        command = [PROGRAM, "serve", service, "--check-config"]
        made = subprocess.run(command, env=env, capture_output=True, text=True)
    if made.returncode != 0:
        return None, made.stderr.strip()
    return tomllib.loads(made.stdout), None


def effective(service, given):
    """The settings of a service in that environment, as it says itself, or its complaint. Files of secrets are made up."""
    settings, complaint = _checked(service, tuple(sorted(given.items())))
    if settings is not None:
        # What the runtime has for those that do not name them: crates/runtime/README.md.
        settings = settings | {"life": {"grace_seconds": 5, "drain_seconds": 15, "flush_seconds": 5} | settings["life"]}
    return settings, complaint


def parsed(quantity):
    """Bytes of a quantity of memory."""
    units = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return int(quantity[:-2]) * units[quantity[-2:]]


def version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def binaries():
    """Package and programs of the workspace."""
    found = set()
    for folder in ("crates", "services"):
        for manifest in (ROOT / folder).glob("*/Cargo.toml"):
            found |= {one["name"] for one in tomllib.loads(manifest.read_text()).get("bin", [])}
    return found


def targets():
    """Stage of the Dockerfile by the program that it has."""
    stage, found = None, {}
    for line in (ROOT / "deploy/Dockerfile").read_text().splitlines():
        words = line.split()
        if words[:1] == ["FROM"]:
            stage = words[-1]
        elif words[:2] == ["COPY", "--from=build"] and stage != "build":
            found[stage] = words[-1].rsplit("/", 1)[-1]
    return found
