import pytest

from llmproxy.canonical import GenerateRequest, Losses, Thinking
from llmproxy_bedrock.models import habits_of
from llmproxy_bedrock.thinking import opens_with_thought, write_thinking

CLAUDE, NOVA, GPT, QWEN, LLAMA = (
    "anthropic.claude-sonnet-4-5-v1:0",
    "amazon.nova-2-lite-v1:0",
    "openai.gpt-oss-120b-1:0",
    "qwen.qwen3-32b-v1:0",
    "meta.llama3-2-1b-instruct-v1:0",
)


def asked(model, thinking, **body):
    losses = Losses()
    body = {"messages": [], **body}
    write_thinking(GenerateRequest(model=model, thinking=thinking), body, habits_of(model), losses)
    return body, [loss.field for loss in losses]


@pytest.mark.parametrize(
    ("model", "thinking", "extra", "lost"),
    [
        (CLAUDE, None, None, []),
        (
            CLAUDE,
            Thinking(enabled=True, budget=2048),
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            [],
        ),
        (
            NOVA,
            Thinking(effort="high"),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            [],
        ),
        (NOVA, Thinking(enabled=False), {"reasoningConfig": {"type": "disabled"}}, []),
        (
            NOVA,
            Thinking(enabled=True, budget=1024),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}},
            ["thinking.budget"],
        ),
        (GPT, Thinking(effort="minimal"), {"reasoning_effort": "low"}, ["thinking.effort"]),
        (GPT, Thinking(enabled=True, show="auto"), {"reasoning_effort": "medium"}, ["thinking.show"]),
        (GPT, Thinking(effort="none"), None, ["thinking"]),
        (QWEN, Thinking(effort="high"), {"reasoning_config": "high"}, []),
        (LLAMA, Thinking(effort="high"), None, ["thinking"]),
        (LLAMA, Thinking(enabled=False), None, []),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(model, thinking, extra, lost):
    body, told = asked(model, thinking)

    assert body.get("additionalModelRequestFields") == extra
    assert told == lost


def test_an_effort_of_claudes_stands_with_the_output():
    body, _ = asked("anthropic.claude-opus-4-7-v1", Thinking(effort="low"))

    assert body["outputConfig"] == {"effort": "low"}
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "adaptive"}}


def test_the_bound_is_raised_above_the_budget():
    body, lost = asked(CLAUDE, Thinking(budget=5000), inferenceConfig={"maxTokens": 100})

    assert body["inferenceConfig"]["maxTokens"] == 5100
    assert lost == ["max_tokens"]


def test_a_forced_call_switches_thinking_off():
    assert asked(CLAUDE, Thinking(budget=5000), toolConfig={"toolChoice": {"any": {}}})[1] == ["thinking"]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], True),
        ([{"role": "user", "content": [{"text": "x"}]}], True),
        (
            [
                {"role": "assistant", "content": [{"toolUse": {}}]},
                {"role": "user", "content": [{"toolResult": {}}]},
            ],
            False,
        ),
        (
            [
                {"role": "assistant", "content": [{"reasoningContent": {}}, {"toolUse": {}}]},
                {"role": "user", "content": [{"toolResult": {}}]},
            ],
            True,
        ),
    ],
)
def test_turns_that_called_tools_open_with_their_thought(messages, expected):
    assert opens_with_thought(messages) is expected
