from __future__ import annotations

from llmproxy.canonical import Message, Text, ToolCall, ToolResult
from llmproxy_openai.responses.turns import Turns

A, B = Text(text="a"), Text(text="b")
CALL, RESULT = ToolCall(id="1", name="look"), ToolResult(id="1")


def test_items_of_the_model_are_one_turn() -> None:
    turns = Turns()

    turns.model(A)
    turns.model(CALL)

    assert turns.messages == (Message(role="assistant", content=(A, CALL)),)


def test_results_stand_before_what_the_user_says_next() -> None:
    turns = Turns()

    turns.model(CALL)
    turns.result(RESULT)
    turns.result(RESULT)
    turns.user(A)
    turns.user(B)

    assert turns.messages[1:] == (
        Message(role="user", content=(RESULT, RESULT, A)),
        Message(role="user", content=(B,)),
    )


def test_a_result_after_words_begins_a_turn() -> None:
    turns = Turns()

    turns.user(A)
    turns.result(RESULT)

    assert [message.content for message in turns.messages] == [(A,), (RESULT,)]


def test_calls_without_ids_get_some_by_their_place() -> None:
    turns = Turns()

    made = turns.new_id()

    assert (turns.answered_id(), turns.answered_id()) == (made, "")


def test_instructions_count_as_system_only_before_the_first_turn() -> None:
    turns = Turns()

    turns.instruct(A)
    turns.user()
    turns.instruct(B)
    turns.user(A)
    turns.instruct(B)
    turns.instruct()

    assert turns.system == [A, B]
    assert turns.messages == (Message(role="user", content=(A,)), Message(role="system", content=(B,)))
