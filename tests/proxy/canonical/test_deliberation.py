"""What follows from the whole of it is tested where it is written: tests/plugins/anthropic/test_deliberation.py."""

from llmproxy.canonical import Losses, Thinking
from llmproxy.canonical.claude import traits_of
from llmproxy.canonical.deliberation import Circumstances, Deliberation, deliberate

BUDGETS = traits_of("claude-sonnet-4-5")


def test_nothing_is_said_where_nothing_was():
    assert deliberate(None, BUDGETS, Circumstances(max_tokens=5), Losses()) == Deliberation(max_tokens=5)


def test_an_unbounded_answer_stays_unbounded():
    asked = deliberate(Thinking(budget=2048), BUDGETS, Circumstances(), Losses())

    assert asked == Deliberation({"type": "enabled", "budget_tokens": 2048})


def test_a_forced_call_and_a_lost_thought_leave_no_room_for_thinking():
    for around in (Circumstances(forced=True), Circumstances(opened=False)):
        losses = Losses()

        assert deliberate(Thinking(budget=2048), BUDGETS, around, losses).thinking is None
        assert "thinking" in losses
