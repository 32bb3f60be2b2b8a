"""Where the configuration comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmproxy.commands.inputs import Configuration
from llmproxy.errors import ConfigErrors, StartError


def written(tmp_path: Path, text: str, name: str = "gateway.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_without_a_file_the_demo_model_is_served() -> None:
    config = Configuration(None).load()

    assert "demo/echo" in config.models
    assert [each.address for each in config.listeners] == ["127.0.0.1:8080"]


def test_without_a_file_providers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    config = Configuration(None).load()

    assert config.upstreams["openai"].api_key is not None


def test_a_busy_admin_port_cannot_stop_the_start_without_a_file() -> None:
    address = Configuration(None).load().admin.address

    assert address is not None
    assert address.port == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "log: {level: error}"),
        ("a.toml", 'log.level = "error"'),
        ("a.json", '{"log":{"level":"error"}}'),
    ],
)
def test_a_file_is_read_by_its_ending(tmp_path: Path, name: str, text: str) -> None:
    assert Configuration(written(tmp_path, text, name)).load().log.level == "error"


def test_listeners_of_the_command_line_replace_the_files(tmp_path: Path) -> None:
    path = written(tmp_path, "listen: ${env:NOT_SET_ANYWHERE}")
    config = Configuration(path, ["127.0.0.1:1", "unix:/x.sock"]).load()

    assert [each.address for each in config.listeners] == ["127.0.0.1:1", "unix:/x.sock"]


def test_tls_of_the_files_listener_stays(tmp_path: Path) -> None:
    path = written(tmp_path, "listen: [{address: '127.0.0.1:9', tls: {certificate: c.pem, key: k.pem}}]")
    (listener,) = Configuration(path, ["127.0.0.1:1"]).load().listeners

    assert listener.address == "127.0.0.1:1"
    assert listener.tls is not None


def test_a_file_reference_is_read(tmp_path: Path) -> None:
    (tmp_path / "level").write_text("error\n")
    path = written(tmp_path, f"log: {{level: '${{file:{tmp_path / 'level'}}}'}}")

    assert Configuration(path).load().log.level == "error"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"cannot read .*nothing\.yaml.*: No such file"):
        Configuration(tmp_path / "nothing.yaml").load()


def test_a_mistake_is_told_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="listn: unknown key"):
        Configuration(written(tmp_path, "listn: x")).load()


def test_a_file_is_watched_only_if_wanted(tmp_path: Path) -> None:
    configuration = Configuration(written(tmp_path, ""))

    assert configuration.source(watch=True).changed is not None
    assert configuration.source(watch=False).changed is None
    assert Configuration(None).source(watch=True).changed is None
