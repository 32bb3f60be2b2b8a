from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Citation
from llmproxy_cohere.citations import document_name, read_citations, write_citations

DOCUMENT = {
    "type": "document",
    "id": "doc:1",
    "document": {"id": "doc:1", "text": "All of it.", "title": "T"},
}
TOOL = {"type": "tool", "id": "f_1:0", "tool_output": {"roll": "1"}}


def test_a_numbered_document_is_found_again_and_cited_whole() -> None:
    [citation] = read_citations([{"start": 3, "end": 5, "text": "it", "sources": [DOCUMENT]}], offset=10)

    assert citation == Citation(
        kind="char",
        title="T",
        quote="All of it.",
        document=1,
        file_id="doc:1",
        start=0,
        end=10,
        text_start=13,
        text_end=15,
    )


def test_each_source_is_a_citation_and_sources_of_one_place_are_told_together() -> None:
    page = {"type": "document", "id": "w", "document": {"id": "w", "url": "https://a.test", "snippet": "S"}}
    item = {"start": 0, "end": 2, "text": "Hi", "sources": [TOOL, page]}

    citations = read_citations([item])

    assert [citation.kind for citation in citations] == ["search", "url"]
    assert write_citations(citations, "Hi you", 1) == [{**item, "content_index": 1, "type": "TEXT_CONTENT"}]


def test_a_caller_gets_back_the_documents_that_it_sent() -> None:
    sent = [{"data": {"text": "a"}}, {"id": "mine", "data": {"text": "b", "page": 3}}]
    cited = [Citation(kind="char", document=0), Citation(kind="char", document=1)]

    [written] = write_citations(cited, "Hi", 0, sent)

    assert (written["start"], written["end"], written["text"]) == (0, 2, "Hi")
    assert written["sources"] == [
        {"type": "document", "id": document_name(0), "document": {"id": "doc:0", "text": "a"}},
        {"type": "document", "id": "mine", "document": {"id": "mine", "text": "b", "page": 3}},
    ]


def test_a_citation_of_nothing_keeps_its_place() -> None:
    [citation] = read_citations({"start": 1, "end": 2, "text": "i"})

    assert (citation.text_start, citation.text_end) == (1, 2)


@pytest.mark.parametrize("items", [None, 3, [3], "x"])
def test_what_is_no_list_tells_none(items: Any) -> None:
    assert read_citations(items) == ()
