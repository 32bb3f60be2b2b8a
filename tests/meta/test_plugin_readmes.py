"""What the READMEs of plugins show is taken by the gateway, once what they leave to the reader is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from llmproxy.cli import main
from llmproxy.formats import parse

from .tree import PLUGINS, ROOT, named

SECTIONS = {
    "version",
    "listen",
    "admin",
    "stores",
    "upstreams",
    "pools",
    "models",
    "plugins",
    "pipeline",
    "routes",
}
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
METRIC = re.compile(r'\.(?:counter|gauge|histogram)\(\s*"(llmproxy_\w+)"')
NEEDED = {"access": {"mode": "open"}, "idempotency": {"store": "shared"}}
DOCUMENT = "openapi: 3.1.0\ninfo: {title: shop, version: '1'}\npaths: {}\n"


def shown() -> list[Any]:
    """Return the blocks that are configurations: not parts of one, and not what other programs read."""
    blocks = []
    for readme in sorted(ROOT.glob("plugins/*/README.md")):
        for number, block in enumerate(BLOCK.findall(readme.read_text())):
            if not re.match(rf"({'|'.join(SECTIONS)}):", block):
                continue
            tree = parse(block, "yaml")
            if set(tree) <= SECTIONS and isinstance(tree.get("plugins", {}), dict):
                blocks.append(pytest.param(tree, id=f"{readme.parent.name}-{number}"))
    return blocks


def targets_of(pool: Any) -> list[Any]:
    return [] if pool is None else pool if isinstance(pool, list) else pool.get("targets", [])


def complete(tree: dict[str, Any], path: Path) -> str:
    """Add the upstreams, plugins and stores that a part of a configuration takes for granted."""
    routes = tree.get("routes", [])
    targets = [each for pool in [*tree.get("pools", {}).values(), *routes] for each in targets_of(pool)]
    named = [each if isinstance(each, str) else each.get("upstream", "") for each in targets]
    named += [route.get("upstream", "") for route in routes]
    upstreams = tree.setdefault("upstreams", {})
    for name in {each.partition("/")[0] for each in named} - {"", *upstreams}:
        upstreams[name] = {"base_url": "http://upstream.test", "dialect": "http"}
    plugins = tree.setdefault("plugins", {})
    for ref in [*tree.get("pipeline", []), *(ref for route in routes for ref in route.get("plugins", []))]:
        name = ref if isinstance(ref, str) else next(iter(ref))
        plugins.setdefault(name, NEEDED.get(name, {}))
    text = orjson.dumps(tree).decode()
    stores = set(re.findall(r'"(?:store|share)":"(\w+)"', text)) - set(tree.get("stores", {}))
    text = orjson.dumps(
        {**tree, "stores": tree.get("stores", {}) | dict.fromkeys(stores, "memory://")}
    ).decode()
    (path / "shop.yaml").write_text(DOCUMENT)
    text = re.sub(r'"sha256":"[^"]*"', f'"sha256":"{"0" * 64}"', text)
    return text.replace("/etc/llmproxy/shop.yaml", str(path / "shop.yaml"))


@pytest.mark.parametrize("plugin", PLUGINS, ids=named)
def test_a_plugin_is_found_from_the_projects_readme(plugin: Path) -> None:
    assert f"plugins/{plugin.name}/README.md" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("plugin", PLUGINS, ids=named)
def test_a_readme_tells_each_metric_that_its_plugin_counts(plugin: Path) -> None:
    code = "".join(module.read_text() for module in plugin.rglob("*.py"))
    counted = set(METRIC.findall(code))

    assert counted - set(re.findall(r"llmproxy_\w+", (plugin / "README.md").read_text())) == set()


@pytest.mark.parametrize("tree", shown())
def test_what_a_readme_shows_passes_check(tree: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "gateway.json"
    path.write_text(complete(tree, tmp_path))
    variables = re.findall(r"\$\{env:(\w+)\}", path.read_text())

    run = CliRunner().invoke(
        main, ["check", str(path)], env=dict.fromkeys(variables, "example-0123456789abcdef0123456789abcdef")
    )

    assert run.exit_code == 0, run.output
