import pytest

from llmproxy.canonical import GenerateRequest, Losses, Thinking
from llmproxy.canonical.claude import traits_of
from llmproxy_anthropic.deliberation import write_thinking

OLD, BOTH, NEW, NONE = "claude-sonnet-4-5", "claude-opus-4-6", "claude-opus-4-7", "claude-3-haiku-20240307"


def thought(model, thinking, **body):
    losses = Losses()
    body = {"max_tokens": 20_000, "messages": [], **body}
    write_thinking(GenerateRequest(model=model, thinking=thinking), body, traits_of(model), losses)
    return body, [loss.field for loss in losses]


@pytest.mark.parametrize(
    ("model", "thinking", "expected", "effort", "losses"),
    [
        (OLD, None, None, None, []),
        (OLD, Thinking(enabled=False), {"type": "disabled"}, None, []),
        (OLD, Thinking(effort="none"), {"type": "disabled"}, None, []),
        ("claude-mythos-5", Thinking(enabled=False), None, None, ["thinking"]),
        (BOTH, Thinking(enabled=False, effort="low"), {"type": "disabled"}, "low", []),
        (OLD, Thinking(enabled=True, budget=5000), {"type": "enabled", "budget_tokens": 5000}, None, []),
        (OLD, Thinking(budget=10), {"type": "enabled", "budget_tokens": 1024}, None, ["thinking.budget"]),
        (
            OLD,
            Thinking(effort="high"),
            {"type": "enabled", "budget_tokens": 16384},
            None,
            ["thinking.effort"],
        ),
        (
            OLD,
            Thinking(effort="low", budget=3000),
            {"type": "enabled", "budget_tokens": 3000},
            None,
            ["thinking.effort"],
        ),
        (
            OLD,
            Thinking(enabled=True, adaptive=True),
            {"type": "enabled", "budget_tokens": 8192},
            None,
            ["thinking"],
        ),
        (OLD, Thinking(enabled=True), {"type": "enabled", "budget_tokens": 8192}, None, []),
        (BOTH, Thinking(enabled=True, budget=5000), {"type": "enabled", "budget_tokens": 5000}, None, []),
        (BOTH, Thinking(effort="medium"), {"type": "adaptive"}, "medium", []),
        (BOTH, Thinking(effort="xhigh"), {"type": "adaptive"}, "high", ["thinking.effort"]),
        (NEW, Thinking(effort="xhigh"), {"type": "adaptive"}, "xhigh", []),
        (NEW, Thinking(effort="minimal"), {"type": "adaptive"}, "low", ["thinking.effort"]),
        (NEW, Thinking(budget=5000), {"type": "adaptive"}, "medium", ["thinking.budget"]),
        (NEW, Thinking(budget=10**6), {"type": "adaptive"}, "max", ["thinking.budget"]),
        (NEW, Thinking(enabled=True, show="auto"), {"type": "adaptive", "display": "summarized"}, None, []),
        (NEW, Thinking(enabled=True, show="omitted"), {"type": "adaptive", "display": "omitted"}, None, []),
        (
            NEW,
            Thinking(enabled=True, show="concise"),
            {"type": "adaptive", "display": "summarized"},
            None,
            ["thinking.show"],
        ),
        (NEW, Thinking(show="auto"), None, None, ["thinking.show"]),
        (NONE, Thinking(effort="high"), None, None, ["thinking"]),
        (NONE, Thinking(enabled=False), None, None, []),
    ],
    ids=str,
)
def test_thinking_is_asked_for_as_the_model_takes_it(model, thinking, expected, effort, losses):
    body, told = thought(model, thinking)

    assert body.get("thinking") == expected
    assert body.get("output_config", {}).get("effort") == effort
    assert told == losses


def test_the_bound_is_raised_above_the_budget():
    body, losses = thought(OLD, Thinking(budget=5000), max_tokens=3000)

    assert body["max_tokens"] == 8000
    assert losses == ["max_tokens"]


@pytest.mark.parametrize("choice", ["any", "tool"])
def test_a_forced_call_switches_thinking_off_for_models_with_a_budget(choice):
    assert thought(OLD, Thinking(budget=5000), tool_choice={"type": choice})[1] == ["thinking"]
    assert thought(NEW, Thinking(effort="low"), tool_choice={"type": choice})[1] == []


def test_a_lost_thought_switches_thinking_off():
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use"}]},
        {"role": "user", "content": [{"type": "tool_result"}]},
    ]

    assert "thinking" not in thought(OLD, Thinking(budget=5000), messages=messages)[0]
    assert "thinking" in thought(NEW, Thinking(budget=5000), messages=messages)[0]


def test_an_effort_joins_a_format():
    assert thought(NEW, Thinking(effort="low"), output_config={"format": 1})[0]["output_config"] == {
        "format": 1,
        "effort": "low",
    }
