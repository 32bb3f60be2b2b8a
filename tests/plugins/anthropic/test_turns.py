import pytest

from llmproxy.canonical import Foreign, Losses, Message, Reasoning, Text, ToolCall, ToolResult
from llmproxy_anthropic.turns import opens_with_thought, write_turns


def say(role, *blocks):
    return Message(role=role, content=tuple(Text(text=b) if isinstance(b, str) else b for b in blocks))


def written(*messages, late=False):
    losses = Losses()
    turns = write_turns(messages, losses, late_system=late)
    return [(turn["role"], [_gist(b) for b in turn["content"]]) for turn in turns], [x.field for x in losses]


def _gist(block):
    return block.get("text") or block.get("tool_use_id") or block.get("id") or block["type"]


def call(name):
    return ToolCall(id=name, name="look")


def result(name):
    return ToolResult(id=name)


def test_turns_alternate():
    got, losses = written(
        say("user", "a"), say("user", "b"), say("assistant", "c"), say("assistant", "d"), say("user", "e")
    )

    assert got == [("user", ["a", "b"]), ("assistant", ["c", "d"]), ("user", ["e"])]
    assert losses == []


def test_a_turns_results_are_in_one_message_and_first():
    got, _ = written(
        say("assistant", call("x"), call("y")),
        say("user", result("x")),
        say("user", "and"),
        say("user", result("y")),
    )

    assert got[1] == ("user", ["x", "y", "and"])


def test_empty_messages_are_none():
    assert written(say("user", "a"), say("assistant", " "), say("user", "")) == ([("user", ["a"])], [])


def test_late_instructions_become_marked_text_of_the_users():
    got, losses = written(say("user", "a"), say("assistant", "b"), say("system", "now"), say("user", "c"))

    assert got[2] == ("user", ["<system-reminder>\nnow\n</system-reminder>", "c"])
    assert losses == ["messages.system"]


@pytest.mark.parametrize(
    ("messages", "roles"),
    [
        ((say("user", "a"), say("system", "s")), ["user", "system"]),
        ((say("user", "a"), say("system", "s"), say("system", "t")), ["user", "system"]),
        ((say("user", "a"), say("system", "s"), say("assistant", "b")), ["user", "system", "assistant"]),
        ((say("user", "a"), say("system", "s"), say("user", "b")), ["user"]),
        ((say("user", "a"), say("assistant", "b"), say("system", "s")), ["user", "assistant", "user"]),
        ((say("system", "s"), say("user", "a")), ["user"]),
    ],
)
def test_late_instructions_stay_such_where_the_model_takes_them(messages, roles):
    assert [role for role, _ in written(*messages, late=True)[0]] == roles


def test_instructions_that_only_anthropic_knows_go_where_they_can():
    addition = Foreign(origin="anthropic", value={"type": "tool_addition"})

    assert written(say("user", "a"), say("system", addition), late=True)[0][1] == (
        "system",
        ["tool_addition"],
    )
    assert written(say("user", "a"), say("system", addition)) == ([("user", ["a"])], ["content.foreign"])


def test_a_name_is_lost():
    named = Message(role="user", content=(Text(text="a"),), name="Ann")

    assert written(named)[1] == ["messages.name"]


def test_space_at_the_very_end_of_the_assistants_is_cut():
    assert written(say("user", "a"), say("assistant", "b \n")) == (
        [("user", ["a"]), ("assistant", ["b"])],
        ["messages"],
    )


THOUGHT = Reasoning(text="h", signature="s", origin="anthropic")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((say("user", "a"),), True),
        ((say("user", "a"), say("assistant", THOUGHT, call("x")), say("user", result("x"))), True),
        ((say("user", "a"), say("assistant", "b", call("x")), say("user", result("x"))), False),
        (
            (
                say("user", "a"),
                say("assistant", call("x")),
                say("user", result("x")),
                say("assistant", THOUGHT, call("y")),
                say("user", result("y")),
            ),
            False,
        ),
        ((say("user", "a"), say("assistant", call("x")), say("user", result("x")), say("user", "b")), False),
        (
            (
                say("user", "a"),
                say("assistant", call("x")),
                say("user", result("x")),
                say("assistant", "b"),
                say("user", "c"),
            ),
            True,
        ),
    ],
)
def test_thinking_wants_its_thought_before_the_last_calls(messages, expected):
    assert opens_with_thought(write_turns(messages, Losses(), late_system=False)) is expected
