from __future__ import annotations

import pytest

from llmproxy_openai.responses.ids import item_id, place_of, response_id


def test_no_two_responses_have_one_name() -> None:
    assert len({response_id() for _ in range(100)}) == 100


def test_an_items_name_leads_back_to_its_response_and_block() -> None:
    response = response_id()

    assert place_of(item_id("msg", response, 3)) == (response, 3)
    assert item_id("msg", response, 3) == item_id("msg", response, 3)


@pytest.mark.parametrize(
    "name", ["", "msg_1", "rs_0f80f320b6d3bc2b016a3c121a0ae4819292601257c72b5d09", "resp_ab"]
)
def test_a_name_from_elsewhere_leads_nowhere(name: str) -> None:
    assert place_of(name) is None
