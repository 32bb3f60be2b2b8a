from __future__ import annotations

from pathlib import Path

import pytest

from llmproxy_validation.documents import load_document
from llmproxy_validation.schemas import BadSchema


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"responses": {"200": {"on": "2026-01-01"}}}'),
        ("a.yaml", "responses: {200: {on: 2026-01-01}}"),
        ("a.yml", "responses:\n  '200':\n    'on': '2026-01-01'"),
    ],
)
def test_yaml_is_what_json_would_be(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text.replace("{on:", "{'on':"))

    assert load_document(str(path)) == {"responses": {"200": {"on": "2026-01-01"}}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"),
        ("a.yaml", "a: ["),
        ("a.yaml", "- 1"),
        ("a.json", "[]"),
        ("a.yaml", "!!python/object:os.system x"),
        ("b.yaml", None),
    ],
)
def test_what_is_no_document_is_told_by_its_file(tmp_path: Path, name: str, text: str | None) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)

    with pytest.raises(BadSchema, match=name):
        load_document(str(path))
