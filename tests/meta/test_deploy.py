"""What stands in deploy/ is linted, rendered and compared; no container engine is needed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from .tree import ROOT, pyproject

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "llmproxy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
SCHEMAS = ("1.29", "1.33")
needs_helm = pytest.mark.skipif(
    shutil.which("helm") is None, reason="helm is not installed; .ci/run brings it"
)
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def run(*command: str | Path, **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def instructions() -> list[tuple[str, str]]:
    """Split the Dockerfile into (instruction, the rest on one line), comments left out."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split()))
        for word, _, rest in (line.partition(" ") for line in joined.splitlines())
        if word
    ]


def stage(name: str) -> list[tuple[str, str]]:
    found: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for word, rest in instructions():
        if word == "FROM":
            current = found.setdefault(rest.rpartition(" ")[2], [])
        current.append((word, rest))
    return found[name]


def test_the_dockerfile_passes_its_linter() -> None:
    hadolint = shutil.which("hadolint") or Path(sys.executable).with_name("hadolint")

    run(hadolint, DEPLOY / "Dockerfile")


def test_the_image_runs_as_nobody_and_keeps_its_build_tools_behind() -> None:
    last = dict(stage("run"))

    assert last["USER"] == "65532:65532"
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert not any("pip" in rest for _, rest in stage("run"))
    assert "/livez" in last["HEALTHCHECK"]


def test_the_image_is_built_from_files_that_are_sent_to_it() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {source for word, rest in stage("build") if word == "COPY" for source in rest.split()[:-1]}

    assert ignored[0] == "*"
    assert copied == sent
    assert all((ROOT / source).exists() for source in copied)


def test_the_probe_asks_the_admin_listener_of_the_examples() -> None:
    for name in ("sidecar.yaml", "kubernetes.yaml"):
        port = load(DEPLOY / "examples" / name)["admin"]["listen"].rpartition(":")[2]

        assert f"127.0.0.1:{port}/livez" in DOCKERFILE


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_build_steps_of_the_dockerfile_work(tmp_path: Path) -> None:
    prefix, workdir = tmp_path / "opt", tmp_path / "src"
    for word, rest in stage("build"):
        if word == "COPY":
            copy(rest.split()[:-1], workdir / rest.split()[-1])
        elif word == "RUN":
            command = rest.replace("/opt/llmproxy", str(prefix)).replace(
                "python3 ", f"{shlex.quote(sys.executable)} "
            )
            run("sh", "-ec", command, cwd=workdir)

    help_text = run(prefix / "bin" / "llmproxy", "serve", "--help")

    assert "--listen" in help_text


def copy(sources: list[str], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(
                ROOT / source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.egg-info")
            )
        else:
            shutil.copy(ROOT / source, target)


def test_every_image_reference_names_this_version() -> None:
    version = re.search(r'__version__ = "(.+)"', (ROOT / "proxy" / "llmproxy" / "__init__.py").read_text())
    assert version
    texts = [
        path.read_text()
        for path in DEPLOY.rglob("*")
        if path.suffix in {".yaml", ".md", ""} and path.is_file()
    ]
    tags = {tag for text in texts for tag in re.findall(r"\bllmproxy:(\d[\w.]*)", text)}
    chart = load(CHART / "Chart.yaml")

    assert tags == {version[1]}
    assert (chart["version"], chart["appVersion"]) == (version[1], version[1])


def test_the_compose_sidecar_mounts_what_there_is() -> None:
    services = load(DEPLOY / "compose.sidecar.yaml")["services"]
    sidecar = services["llmproxy"]
    example = DEPLOY / sidecar["volumes"][0].split(":")[0]
    wanted = set(re.findall(r"\$\{env:(\w+)\}", example.read_text()))

    assert sidecar["network_mode"] == "service:app"
    assert sidecar["read_only"] is True
    assert set(sidecar["environment"]) == wanted
    assert (DEPLOY / sidecar["build"]["context"]).resolve() == ROOT
    assert (ROOT / sidecar["build"]["dockerfile"]).is_file()


@pytest.fixture
def installed_units(tmp_path: Path) -> Path:
    """Copy the units with their program replaced by one that is on this machine."""
    for name in ("llmproxy.service", "llmproxy.socket"):
        text = (DEPLOY / name).read_text().replace("/opt/llmproxy/bin/llmproxy", "/bin/true")
        (tmp_path / name).write_text(text)
    return tmp_path


@needs_systemd
def test_the_systemd_units_verify(installed_units: Path) -> None:
    units = [installed_units / name for name in ("llmproxy.service", "llmproxy.socket")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_systemd_service_is_little_exposed(installed_units: Path) -> None:
    run(
        "systemd-analyze",
        "security",
        "--offline=true",
        "--threshold=20",
        installed_units / "llmproxy.service",
    )


def test_the_socket_unit_listens_where_the_examples_do() -> None:
    stream = re.search(r"^ListenStream=(.+)$", (DEPLOY / "llmproxy.socket").read_text(), re.MULTILINE)

    assert stream
    assert stream[1] in load(DEPLOY / "examples" / "openai.yaml")["listen"]


@pytest.mark.parametrize("version", SCHEMAS)
def test_the_kubernetes_sidecar_fits_the_schema(version: str) -> None:
    for manifest in yaml.safe_load_all((DEPLOY / "k8s-sidecar.yaml").read_text()):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_kubernetes_sidecar_stops_after_the_gateway_has_drained() -> None:
    pod = load(DEPLOY / "k8s-sidecar.yaml")["spec"]["template"]["spec"]
    drain = load(DEPLOY / "examples" / "sidecar.yaml")["server"]["drain_timeout"]

    assert int(drain.removesuffix("s")) < pod["terminationGracePeriodSeconds"]


@pytest.fixture
def values(tmp_path: Path) -> Path:
    path = tmp_path / "values.yaml"
    path.write_text(
        "config:\n" + textwrap.indent((DEPLOY / "examples" / "kubernetes.yaml").read_text(), "  ")
    )
    return path


def rendered(values: Path, *options: str) -> Iterator[dict[str, Any]]:
    text = run(
        "helm", "template", "release", CHART, "-f", values, *options, env=helm_environment(values.parent)
    )
    return (manifest for manifest in yaml.safe_load_all(text) if manifest)


def helm_environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "HELM_CACHE_HOME": str(folder),
        "HELM_CONFIG_HOME": str(folder),
        "HELM_DATA_HOME": str(folder),
    }


@needs_helm
def test_the_chart_passes_its_linter(values: Path) -> None:
    run("helm", "lint", "--strict", CHART, "-f", values, env=helm_environment(values.parent))


@needs_helm
@pytest.mark.parametrize("version", SCHEMAS)
def test_the_chart_renders_manifests_that_fit_the_schema(values: Path, version: str) -> None:
    manifests = list(rendered(values, "--set", "nodeSelector.disk=ssd"))
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)

    assert {manifest["kind"] for manifest in manifests} == {
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Service",
    }


@needs_helm
def test_the_chart_carries_the_configuration_unchanged(values: Path) -> None:
    (carried,) = [manifest for manifest in rendered(values) if manifest["kind"] == "ConfigMap"]

    assert yaml.safe_load(carried["data"]["llmproxy.yaml"]) == load(DEPLOY / "examples" / "kubernetes.yaml")


@needs_helm
def test_the_chart_refuses_a_value_it_does_not_know(values: Path) -> None:
    command = ["helm", "template", "release", str(CHART), "-f", str(values), "--set", "replcias=3"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=helm_environment(values.parent)
    )

    assert done.returncode != 0
    assert "replcias" in done.stderr


def test_the_executable_holds_every_plugin() -> None:
    text = (DEPLOY / "onefile.py").read_text()

    assert pyproject()["project"]["name"] in text
    assert 'entry_points.select(group="llmproxy.plugins")' in text


def test_the_readme_says_what_was_not_built_here() -> None:
    assert "Not built here" in (DEPLOY / "README.md").read_text()


# The dashboard.


def test_the_dashboard_shows_only_metrics_that_the_gateway_has() -> None:
    board = load(DEPLOY / "grafana" / "caches.json")
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    shown = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for expr in asked
        for name in re.findall(r"llmproxy_\w+", expr)
    }
    sources = [path.read_text() for root in ("proxy", "plugins") for path in (ROOT / root).rglob("*.py")]
    known = {name for source in sources for name in re.findall(r'"(llmproxy_[a-z_]+)"', source)}

    assert shown
    assert shown <= known


def test_the_dashboard_has_no_panel_twice_and_none_over_another() -> None:
    panels = load(DEPLOY / "grafana" / "caches.json")["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(cells)) == len(cells)
    assert all(x < 24 for x, _ in cells)
