from __future__ import annotations

from pathlib import Path

import pytest

from llmproxy.commands.group import Refusal
from llmproxy.errors import ConfigErrors
from llmproxy.plugincommands import ask_gateway, configured_plugins
from llmproxy_ipfilter import IpFilterPlugin

CONFIG = """
upstreams: {a: {base_url: "http://127.0.0.1:1", dialect: http}}
plugins:
  near: {use: ipfilter, allow: [127.0.0.0/8]}
  ipfilter: {allow: [10.0.0.0/8]}
  accesslog: {}
routes: [{name: r, upstream: a}]
"""


def test_a_files_instances_of_a_plugin_are_found_by_name(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG)

    found = configured_plugins(file, IpFilterPlugin)

    assert sorted(found) == ["ipfilter", "near"]
    assert {name: plugin.name for name, plugin in found.items()} == {"ipfilter": "ipfilter", "near": "near"}


def test_a_mistake_in_the_file_is_told_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG.replace("allow: [10", "alow: [10"))

    with pytest.raises(ConfigErrors, match=r"plugins\.ipfilter\.alow"):
        configured_plugins(file, IpFilterPlugin)


def test_secrets_of_other_sections_need_not_be_there(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    secret = '{use: accesslog, token: "${env:LLMPROXY_NO_SUCH_VARIABLE}"}'
    file.write_text(CONFIG.replace("accesslog: {}", f"accesslog: {secret}") + f"\nadmin: {secret}")

    assert sorted(configured_plugins(file, IpFilterPlugin)) == ["ipfilter", "near"]


def test_a_gateway_that_nothing_names_is_not_asked() -> None:
    with pytest.raises(Refusal, match="name the gateway"):
        ask_gateway(None, None, None, "/semantic")


def test_a_gateway_that_does_not_answer_is_told() -> None:
    with pytest.raises(Refusal, match="no gateway answers"):
        ask_gateway(None, "http://127.0.0.1:1", None, "/semantic")
