import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Citation
from llmproxy_anthropic.citations import read_citation, write_citation

WEB = {
    "type": "web_search_result_location",
    "cited_text": "q",
    "url": "https://a",
    "title": "t",
    "encrypted_index": "e",
}
CHAR = {
    "type": "char_location",
    "cited_text": "q",
    "document_index": 0,
    "document_title": "d",
    "start_char_index": 1,
    "end_char_index": 2,
}
PAGE = {
    "type": "page_location",
    "cited_text": "q",
    "document_index": 1,
    "document_title": None,
    "start_page_number": 1,
    "end_page_number": 2,
}
BLOCK = {
    "type": "content_block_location",
    "cited_text": "q",
    "document_index": 0,
    "document_title": "d",
    "start_block_index": 0,
    "end_block_index": 1,
}
SEARCH = {
    "type": "search_result_location",
    "cited_text": "q",
    "source": "https://a",
    "search_result_index": 0,
    "title": "t",
    "start_block_index": 0,
    "end_block_index": 1,
}


@pytest.mark.parametrize("told", [WEB, CHAR, PAGE, BLOCK, SEARCH], ids=lambda told: told["type"])
def test_each_kind_comes_back_as_it_was(told):
    assert write_citation(read_citation(told), asked=True) == told


@pytest.mark.parametrize("told", [None, "x", {}, {"type": 1}, {"type": "new_location"}])
def test_a_kind_that_nobody_knows_is_none(told):
    assert read_citation(told) is None


def test_another_providers_page_is_told_to_callers_and_not_sent_back():
    page = Citation(kind="url", url="https://a", title="t", quote="q")

    assert write_citation(page, asked=False) == {**WEB, "encrypted_index": ""}
    assert write_citation(page, asked=True) is None


def test_a_place_without_numbers_cannot_be_told():
    assert write_citation(Citation(kind="page", quote="q"), asked=False) is None


def test_an_answers_file_is_named():
    place = read_citation({**PAGE, "file_id": "f"})

    assert write_citation(place, asked=False) == {**PAGE, "file_id": "f"}
    assert write_citation(place, asked=True) == PAGE


VALUES = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=1)


@given(st.dictionaries(st.sampled_from([*CHAR, *SEARCH, *WEB]), VALUES), st.sampled_from([WEB, CHAR, SEARCH]))
def test_odd_values_are_left_out(odd, told):
    citation = read_citation({**odd, "type": told["type"]})

    assert citation is not None
    write_citation(citation, asked=False)
