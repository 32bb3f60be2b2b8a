from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Citation
from llmproxy_openai.responses.citations import read_citation, write_citation


@pytest.mark.parametrize(
    "told",
    [
        {"type": "url_citation", "start_index": 1, "end_index": 4, "url": "https://a.test", "title": "A"},
        {"type": "file_citation", "index": 2, "file_id": "f", "filename": "a.pdf"},
        {"type": "file_path", "file_id": "f", "index": 3},
        {
            "type": "container_file_citation",
            "container_id": "c",
            "file_id": "f",
            "filename": "a.csv",
            "start_index": 0,
            "end_index": 9,
        },
    ],
)
def test_an_annotation_comes_back_as_it_was(told: dict[str, Any]) -> None:
    citation = read_citation(told)

    assert citation is not None
    assert write_citation(citation, 99) == told


@pytest.mark.parametrize("told", [None, 1, [], {}, {"type": []}, {"type": "other"}])
def test_what_is_no_annotation_is_none(told: Any) -> None:
    assert read_citation(told) is None


def test_a_source_of_the_whole_text_spans_it() -> None:
    written = write_citation(Citation(kind="url", url="https://a.test"), 7)

    assert (written["start_index"], written["end_index"]) == (0, 7)


def test_a_place_in_a_document_is_told_by_its_title() -> None:
    written = write_citation(Citation(kind="page", title="Report", document=1, start=3, end=4), 7)

    assert written == {"type": "file_citation", "index": 1, "file_id": "", "filename": "Report"}
