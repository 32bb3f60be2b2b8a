import pytest

from llmproxy.canonical import Citation
from llmproxy_bedrock.citations import read_citation, write_citation

PLACE = {"documentIndex": 0, "start": 1, "end": 9}


@pytest.mark.parametrize(
    ("told", "citation"),
    [
        (
            {"title": "T", "sourceContent": [{"text": "q"}], "location": {"documentChar": PLACE}},
            Citation(kind="char", title="T", quote="q", document=0, start=1, end=9),
        ),
        ({"location": {"documentPage": PLACE}}, Citation(kind="page", document=0, start=1, end=9)),
        ({"location": {"documentChunk": PLACE}}, Citation(kind="block", document=0, start=1, end=9)),
        (
            {
                "source": "https://x",
                "location": {"searchResultLocation": {"searchResultIndex": 2, "start": 0, "end": 1}},
            },
            Citation(kind="search", url="https://x", document=2, start=0, end=1),
        ),
        ({"location": {"web": {"url": "https://x"}}}, Citation(kind="url", url="https://x")),
    ],
)
def test_a_citation_is_read_and_written(told, citation):
    assert read_citation(told) == citation
    assert write_citation(citation) == told


@pytest.mark.parametrize("told", [None, {}, {"location": {"tomorrows": {}}}, {"location": {"web": 1}}])
def test_what_says_nothing_is_none(told):
    assert read_citation(told) is None


def test_a_place_without_a_document_is_its_url_or_nothing():
    assert write_citation(Citation(kind="file", url="https://x")) == {
        "location": {"web": {"url": "https://x"}}
    }
    assert write_citation(Citation(kind="file", file_id="f")) is None
