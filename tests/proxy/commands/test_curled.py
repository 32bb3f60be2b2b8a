"""Requests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmproxy.commands.curled import curled
from llmproxy.commands.group import Refusal


def test_a_path_with_a_body_is_json_unless_it_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "body").write_text("a=b")

    assert curled("/v1/x", None, ["X-A: 1"], "{}") == {
        "path": "/v1/x",
        "headers": {"X-A": "1", "Content-Type": "application/json"},
        "body": "{}",
    }
    assert curled("https://h/x", "PUT", ["content-type: text/plain"], f"@{tmp_path / 'body'}") == {
        "url": "https://h/x",
        "method": "PUT",
        "headers": {"content-type": "text/plain"},
        "body": "a=b",
    }


def test_a_file_says_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "request").write_text("{}")

    assert curled(str(tmp_path / "request")) is None
    with pytest.raises(Refusal, match="a request file says all of it"):
        curled(str(tmp_path / "request"), "PUT")


@pytest.mark.parametrize(
    ("request_", "headers", "data", "reason"),
    [
        ("nothing.json", [], None, "is no file, no path and no URL"),
        ("/x", ["no colon"], None, "-H: should be 'Name: value'"),
        ("/x", [], "@nothing.json", "nothing.json"),
    ],
)
def test_what_is_none_is_told(request_: str, headers: list[str], data: str | None, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        curled(request_, None, headers, data)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"\xff")

    with pytest.raises(Refusal, match="is no UTF-8 text"):
        curled("/x", None, [], f"@{tmp_path / 'body'}")
