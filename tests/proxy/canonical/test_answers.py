import msgspec
import pytest
from hypothesis import given

from llmproxy.canonical import FINISH_REASONS, Answer, Choice, CountAnswer, EmbedAnswer, Ranked, RerankAnswer

from .made import ANSWERS


@given(ANSWERS)
def test_an_answer_can_be_kept_as_json_and_read_again(answer):
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Answer) == answer


def test_an_answer_that_was_not_ended_has_no_reason():
    assert Choice().finish is None
    assert "stop" in FINISH_REASONS


def test_a_count_is_exact_unless_it_says_otherwise():
    assert not CountAnswer(tokens=3).estimated


def test_answers_stay_what_they_are():
    with pytest.raises(AttributeError):
        EmbedAnswer().vectors = ((1.0,),)


def test_a_ranking_can_be_kept_as_json_and_read_again():
    answer = RerankAnswer(results=(Ranked(index=1, score=0.5, document="b"), Ranked(index=0, score=0.1)))

    assert msgspec.json.decode(msgspec.json.encode(answer), type=RerankAnswer) == answer
