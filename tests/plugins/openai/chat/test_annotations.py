from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Citation, Text
from llmproxy_openai.chat.annotations import read_annotations, read_sources, write_annotations

CITATION = Citation("url", "https://example.com", "Example", text_start=2, text_end=5)


def test_annotations_come_back_as_they_went() -> None:
    assert read_annotations(write_annotations([Text("some text", citations=(CITATION,))])) == (CITATION,)


def test_a_source_without_a_place_supports_its_whole_text() -> None:
    source = Citation("url", "https://example.com", quote="said")
    [written] = write_annotations([Text("before "), Text("cited", citations=(source,))])

    assert written["url_citation"]["start_index"] == 7
    assert written["url_citation"]["end_index"] == 12
    assert written["url_citation"]["content"] == "said"


def test_only_web_pages_have_a_place() -> None:
    assert write_annotations([Text("x", citations=(Citation("char", document=1),))]) == []


@pytest.mark.parametrize(
    "annotations",
    [
        None,
        "x",
        [1],
        [{"type": "file_citation"}],
        [{"type": "url_citation"}],
        [{"type": "url_citation", "url_citation": {"url": 5}}],
    ],
)
def test_other_kinds_are_passed_over(annotations: Any) -> None:
    assert read_annotations(annotations) == ()


def test_sources_beside_the_answer_are_read() -> None:
    results = [{"url": "https://a.example", "title": "A"}, {"title": "no address"}]

    assert read_sources({"citations": ["https://a.example"], "search_results": results}) == (
        Citation("url", "https://a.example", "A"),
    )
    assert read_sources({"citations": ["https://b.example", 3]}) == (Citation("url", "https://b.example"),)
    assert read_sources({}) == ()
