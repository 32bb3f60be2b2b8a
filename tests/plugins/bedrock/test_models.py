import pytest

from llmproxy_bedrock.models import Habits, habits_of


@pytest.mark.parametrize(
    ("model", "thinks", "top_k", "caches", "schemas"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude", ("top_k",), True, True),
        ("anthropic.claude-3-haiku-20240307-v1:0", "claude", ("top_k",), False, False),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", "claude", ("top_k",), True, False),
        ("anthropic.claude-v2", "claude", ("top_k",), False, True),
        ("us.amazon.nova-2-lite-v1:0", "nova", ("inferenceConfig", "topK"), True, False),
        ("amazon.nova-micro-v1:0", "", ("inferenceConfig", "topK"), True, False),
        ("amazon.titan-text-express-v1", "", (), False, False),
        ("openai.gpt-oss-120b-1:0", "effort", (), False, True),
        ("qwen.qwen3-32b-v1:0", "config", ("top_k",), False, True),
        ("us.mistral.pixtral-large-2502-v1:0", "", ("top_k",), False, True),
        ("us.meta.llama4-maverick-17b-instruct-v1:0", "", (), False, False),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/mi1d", "claude", ("top_k",), True, True),
        ("arn:aws:bedrock:us-east-1:1:imported-model/x", "", (), False, True),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0",
            "claude",
            ("top_k",),
            True,
            False,
        ),
    ],
)
def test_a_name_tells_what_a_model_takes(model, thinks, top_k, caches, schemas):
    habits = habits_of(model)

    assert (habits.thinks, habits.top_k, habits.caches, habits.schemas) == (thinks, top_k, caches, schemas)


def test_marks_on_tools_and_their_life_are_claudes():
    assert habits_of("anthropic.claude-sonnet-4-5-20250929-v1:0").caches_tools
    assert habits_of("anthropic.claude-sonnet-4-5-20250929-v1:0").ttl
    assert not habits_of("amazon.nova-pro-v1:0").caches_tools
    assert Habits().claude is None
