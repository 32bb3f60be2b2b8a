from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Loss, Losses
from llmproxy.canonical.losses import LONGEST, MOST


def test_each_field_is_told_once_in_the_order_found():
    losses = Losses()
    losses.add("b", "first")
    losses.add("a", "why")
    losses.add("b", "second")

    assert list(losses) == [Loss("b", "first"), Loss("a", "why")]
    assert (len(losses), "a" in losses, "c" in losses) == (2, True, False)


def test_an_encoder_reports_under_the_name_that_the_caller_knows():
    losses = Losses({"top_k": "generationConfig.topK"})
    losses.lose("top_k")
    losses.lose("seed", "because")

    assert [loss.field for loss in losses] == ["generationConfig.topK", "seed"]
    assert "no place" in next(iter(losses)).why


def test_a_decoder_may_say_what_its_callers_name_the_fields():
    losses = Losses({"top_k": "k"})
    losses.names = {"top_k": "topK"}
    losses.lose("top_k")

    assert "topK" in losses


def test_a_hostile_body_makes_no_report_without_end():
    losses = Losses()
    for number in range(10 * MOST):
        losses.add(f"field{number}", "why")

    assert len(losses) == MOST


@given(st.text() | st.text(min_size=LONGEST, max_size=3 * LONGEST))
def test_a_name_that_the_caller_chose_can_be_told_in_one_line(name):
    losses = Losses()
    losses.add(name, "why")
    ((told, _),) = [(loss.field, loss.why) for loss in losses]

    assert len(told) <= LONGEST + 3
    assert not set(told) & set("\r\n\0,\u2028 ") - {"\u2028"}
    assert name in losses


def test_paths_are_told_as_they_are():
    losses = Losses()
    losses.add("messages[].content[].cache_control", "why")
    losses.add("größe", "why")

    assert [loss.field for loss in losses] == ["messages[].content[].cache_control", "größe"]
