from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Image, Inline, Link, Losses, ModerationAnswer, ModerationRequest, Text, Verdict
from llmproxy.plugin import BadField
from llmproxy_openai.media.moderation import (
    decode_moderation,
    encode_moderation,
    read_moderation,
    write_moderation,
)

TEXTS = st.text(min_size=1).map(Text)
IMAGES = st.sampled_from(
    [Image(Link(url="https://e.com/a")), Image(Inline(media_type="image/png", data="iVBORw0KGgoAAA=="))]
)
INPUTS = st.lists(TEXTS.map(lambda each: (each,)), min_size=1, max_size=3).map(tuple) | st.lists(
    TEXTS | IMAGES, min_size=2, max_size=3
).map(lambda parts: (tuple(parts),))


@given(INPUTS)
def test_a_request_comes_back_as_it_went(inputs: Any) -> None:
    request = ModerationRequest(model="m", inputs=inputs)
    losses = Losses()

    assert (
        decode_moderation(orjson.loads(orjson.dumps(encode_moderation(request, "m", losses))), losses)
        == request
    )
    assert len(losses) == 0


@given(
    st.lists(
        st.builds(
            Verdict,
            flagged=st.booleans(),
            categories=st.dictionaries(st.text(), st.booleans()),
            scores=st.just({"a": 0.5}),
        )
    )
)
def test_an_answer_comes_back_as_it_went(verdicts: list[Verdict]) -> None:
    answer = ModerationAnswer(id="i", model="m", verdicts=tuple(verdicts))

    assert read_moderation(orjson.loads(orjson.dumps(write_moderation(answer, "", "")))) == answer


def test_mistral_flags_nothing_as_a_whole_and_its_categories_do() -> None:
    told = {"results": [{"categories": {"a": False, "b": True}, "category_scores": {"a": 0, "b": 1}}]}

    assert read_moderation(told).verdicts[0].flagged is True


def test_pictures_are_judged_alone() -> None:
    losses = Losses()
    request = ModerationRequest(
        model="m", inputs=((Text("a"), Image(Link(url="https://e.com"))), (Text("b"),))
    )

    assert encode_moderation(request, "m", losses)["input"] == ["a", "b"]
    assert "inputs" in losses


@pytest.mark.parametrize("given_", [None, [], 7, [7], [{"type": "x"}], [{"type": "image_url"}], ["a", {}]])
def test_what_is_no_input_is_refused(given_: Any) -> None:
    with pytest.raises(BadField, match="'input'"):
        decode_moderation({"model": "m", "input": given_}, Losses())


@pytest.mark.parametrize(
    "told", [{}, {"results": [7]}, {"results": [{}]}, {"results": [{"categories": 1, "category_scores": 2}]}]
)
def test_what_holds_no_verdicts_is_a_fault(told: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_moderation(told)
