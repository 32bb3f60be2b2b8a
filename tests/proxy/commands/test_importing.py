"""`llmproxy import`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from llmproxy.cli import main
from llmproxy.commands.group import ExitCode
from llmproxy.config import parse

FILE = """
model_list:
  - model_name: fast
    litellm_params: {model: groq/llama-3.1-8b-instant, api_key: os.environ/GROQ_API_KEY, rpm: 3}
general_settings: {master_key: sk-canary-master-key}
"""


def litellm(tmp_path: Path, text: str, *options: str) -> Result:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return CliRunner().invoke(main, ["import", "litellm", str(path), *options])


def test_the_configuration_goes_to_standard_output_and_the_report_beside_it(tmp_path: Path) -> None:
    run = litellm(tmp_path, FILE)
    tree = yaml.safe_load(run.stdout)

    assert run.exit_code == 0, run.stderr
    assert tree["routes"][0]["models"] == {"fast": {"upstream": "groq", "model": "llama-3.1-8b-instant"}}
    assert "model_list[0].litellm_params.rpm: counts as a weight" in run.stderr
    assert "canary" not in run.stdout + run.stderr


def test_what_was_written_can_be_checked_as_it_is(tmp_path: Path) -> None:
    written = tmp_path / "gateway.yaml"
    run = litellm(tmp_path, FILE, "--output", str(written))
    keys = {"GROQ_API_KEY": "gsk_0123456789", "LITELLM_MASTER_KEY": "sk-0123456789"}
    checked = CliRunner().invoke(main, ["check", str(written)], env=keys)

    assert run.stdout.splitlines() == [f"wrote {written}", f"next: llmproxy check {written}"]
    assert checked.stdout.startswith("ok: 1 route"), checked.stderr


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    written = tmp_path / "gateway.yaml"
    written.write_text("mine")
    run = litellm(tmp_path, FILE, "-o", str(written))

    assert run.exit_code == ExitCode.WRONG_USAGE
    assert "is there already" in run.stderr
    assert written.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model_list: []", "config.yaml: no model of it can be served here"),
        ("model_list: [", "config.yaml:2"),
        ("- a", "not a mapping"),
        ("model_list:\\n  - model_name: *\\n".replace("\\n", "\n"), "config.yaml:2"),
    ],
)
def test_a_file_of_which_nothing_comes_over_is_refused(tmp_path: Path, text: str, line: str) -> None:
    run = litellm(tmp_path, text)

    assert run.exit_code == ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED
    assert line in run.stderr
    assert run.stdout == ""


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    run = CliRunner().invoke(main, ["import", "litellm", str(tmp_path / "none.yaml")])

    assert run.exit_code == ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED
    assert "none.yaml" in run.stderr


def test_names_in_the_file_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    run = litellm(tmp_path, FILE + '"a\\eb": {x: 1}')

    assert "\x1b" not in run.stderr
    assert "a?b" in run.stderr


def test_a_name_that_looks_like_a_number_stays_a_name(tmp_path: Path) -> None:
    file = 'model_list: [{model_name: "1e5", litellm_params: {model: "openai/0o17"}}]'
    tree = parse(litellm(tmp_path, file).stdout, "yaml")

    assert tree["routes"][0]["models"] == {"1e5": {"upstream": "openai", "model": "0o17"}}


def test_a_config_that_is_nested_too_deeply_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"targets":[' * 450 + '{"provider":"openai"}' + "]}" * 450)
    run = CliRunner().invoke(main, ["import", "portkey", str(path)])

    assert "config.json: nested too deeply" in run.stderr


def test_a_config_of_portkeys_is_read_likewise(tmp_path: Path) -> None:
    path, written = tmp_path / "config.json", tmp_path / "gateway.yaml"
    path.write_text(
        '{"strategy": {"mode": "fallback"}, "targets": [{"virtual_key": "groq-1"}, {"provider": "bedrock"}]}'
    )
    run = CliRunner().invoke(main, ["import", "portkey", str(path), "-o", str(written)])
    checked = CliRunner().invoke(main, ["check", str(written)], env={"GROQ_API_KEY": "gsk_0123456789"})

    assert run.exit_code == 0, run.stderr
    assert "targets[0].virtual_key: Portkey keeps the key behind this name: set GROQ_API_KEY" in run.stderr
    assert "targets[1]: bedrock: write an upstream with provider: bedrock (auth: aws signs)" in run.stderr
    assert checked.stdout.startswith("ok: 1 route"), checked.stderr
