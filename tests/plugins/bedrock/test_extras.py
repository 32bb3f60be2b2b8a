import pytest

from llmproxy.canonical import Losses, Thinking
from llmproxy.plugin import BadField
from llmproxy_bedrock.extras import read_extras


def read(told):
    found, losses = {}, Losses()
    read_extras(told, found, losses)
    return found, [loss.field for loss in losses]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"top_k": 5}, {"top_k": 5}),
        ({"k": 5}, {"top_k": 5}),
        ({"inferenceConfig": {"topK": 5}}, {"top_k": 5}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            {"thinking": Thinking(enabled=True, budget=1024)},
        ),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            {"thinking": Thinking(enabled=True, adaptive=True, show="auto")},
        ),
        ({"reasoning_config": {"type": "disabled"}}, {"thinking": Thinking(enabled=False)}),
        ({"reasoning_config": "high"}, {"thinking": Thinking(effort="high")}),
        (
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            {"thinking": Thinking(enabled=True, effort="low")},
        ),
        ({"reasoning_effort": "low"}, {"thinking": Thinking(effort="low")}),
        ({"top_k": None}, {}),
    ],
)
def test_what_other_providers_know_too_is_read(told, expected):
    assert read(told) == (expected, [])


def test_what_one_model_alone_knows_is_told():
    assert read({"anthropic_beta": ["x"], "inferenceConfig": {"odd": 1}}) == (
        {},
        ["additionalModelRequestFields.anthropic_beta", "additionalModelRequestFields.inferenceConfig.odd"],
    )


@pytest.mark.parametrize("told", [[], {"thinking": {"type": "odd"}}, {"reasoningConfig": {}}, {"top_k": "5"}])
def test_a_broken_field_is_refused(told):
    with pytest.raises(BadField):
        read(told)
