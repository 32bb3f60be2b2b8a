from __future__ import annotations

from typing import Any

import pytest

from llmproxy.canonical import Citation
from llmproxy_gemini.grounding import read_citations, write_grounding

WEB = {"web": {"uri": "https://x.test", "title": "x"}}


def grounded(segment: dict[str, Any], *chunks: dict[str, Any]) -> dict[str, Any]:
    supports = [{"segment": segment, "groundingChunkIndices": [0]}]
    return {"groundingMetadata": {"groundingChunks": list(chunks), "groundingSupports": supports}}


def test_segments_count_bytes_and_citations_characters() -> None:
    told = grounded({"startIndex": 4, "endIndex": 9, "text": "Füße"[1:]}, WEB)

    ((place, citation),) = read_citations(told, ["ä é Füße"])

    assert place == 0
    assert "ä é Füße"[citation.text_start : citation.text_end]
    assert (citation.kind, citation.url, citation.title) == ("url", "https://x.test", "x")


def test_a_segment_is_found_by_its_text_where_its_place_is_another() -> None:
    told = grounded({"startIndex": 100, "endIndex": 106, "text": "second"}, WEB)

    ((place, citation),) = read_citations(told, ["first", "the second"])

    assert (place, citation.text_start, citation.text_end) == (1, 4, 10)


def test_a_chunk_that_supports_no_segment_is_cited_all_the_same() -> None:
    told = {
        "groundingMetadata": {"groundingChunks": [WEB, {"retrievedContext": {"title": "d", "text": "q"}}]}
    }

    assert read_citations(told, ["text"]) == [
        (0, Citation(kind="url", url="https://x.test", title="x")),
        (0, Citation(kind="file", title="d", quote="q")),
    ]


def test_quotations_are_citations() -> None:
    told = {
        "citationMetadata": {"citations": [{"startIndex": 2, "endIndex": 4, "uri": "u"}, {"uri": "v"}, {}]}
    }

    assert read_citations(told, ["abcdef"]) == [
        (0, Citation(kind="url", url="u", text_start=2, text_end=4)),
        (0, Citation(kind="url", url="v")),
    ]


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"groundingMetadata": 1, "citationMetadata": 2},
        {"groundingMetadata": {"groundingChunks": 1, "groundingSupports": 2}},
        {"groundingMetadata": {"groundingChunks": [1], "groundingSupports": [3, {"segment": 4}]}},
        grounded({"partIndex": "x", "startIndex": "y"}, {"web": 1}),
        {"citationMetadata": {"citations": [1, {"uri": 2}]}},
    ],
)
def test_odd_metadata_cites_nothing(told: dict[str, Any]) -> None:
    assert read_citations(told, []) == []
    assert read_citations(told, ["x"]) == []


def test_what_is_written_reads_the_same() -> None:
    citations = (
        Citation(kind="url", url="https://x.test", title="x", text_start=2, text_end=4),
        Citation(kind="file", title="d", quote="q", file_id="f", start=7, text_start=0, text_end=2),
        Citation(kind="url", url="https://y.test", title="y"),
    )

    told = {"groundingMetadata": write_grounding([(0, "äéöü", citations)])}

    assert [citation for _, citation in read_citations(told, ["äéöü"])] == list(citations)


def test_one_source_of_two_places_is_one_chunk() -> None:
    citations = tuple(Citation(kind="url", url="u", title="t", text_start=n, text_end=n + 1) for n in (0, 1))

    told = write_grounding([(2, "ab", citations)])

    assert len(told["groundingChunks"]) == 1
    assert [s["segment"]["partIndex"] for s in told["groundingSupports"]] == [2, 2]


def test_without_citations_there_is_nothing_to_write() -> None:
    assert write_grounding([(0, "x", ())]) == {}
