from llmproxy.canonical import (
    CacheMark,
    Document,
    Foreign,
    Inline,
    Losses,
    Message,
    Text,
    ToolCall,
    ToolResult,
)
from llmproxy_bedrock.models import habits_of
from llmproxy_bedrock.turns import write_turns
from llmproxy_bedrock.writing import Writer


def message(role, *blocks, name=""):
    content = tuple(Text(text=block) if isinstance(block, str) else block for block in blocks)
    return Message(role=role, content=content, name=name)


def written(*messages):
    losses = Losses()
    return write_turns(messages, Writer(habits_of("m"), losses)), [loss.field for loss in losses]


def test_messages_of_one_role_are_one_turn_results_first():
    call, result = ToolCall(id="t", name="f"), ToolResult(id="t", cache=CacheMark())
    told, _ = written(
        message("user", "a"), message("assistant", call), message("user", "b"), message("user", result)
    )

    assert [turn["role"] for turn in told] == ["user", "assistant", "user"]
    assert [next(iter(block)) for block in told[2]["content"]] == ["toolResult", "cachePoint", "text"]


def test_empty_turns_are_none():
    assert written(message("user"), message("user", " "), message("assistant", "")) == ([], [])


def test_late_instructions_are_marked_text_of_the_users_turn():
    told, lost = written(message("user", "a"), message("system", "be"), message("assistant", "b"))

    assert told[0]["content"][1]["text"] == "<system-reminder>\nbe\n</system-reminder>"
    assert lost == ["messages.system"]
    assert written(message("system", Foreign(origin="x", value={})))[1] == ["content.foreign"]


def test_space_at_the_end_of_what_goes_on_is_cut():
    told, lost = written(message("user", "a"), message("assistant", "So: "))

    assert told[1]["content"] == [{"text": "So:"}]
    assert lost == ["messages"]


def test_a_document_is_never_without_a_word():
    document = Document(source=Inline(media_type="application/pdf", data="AAAA"))

    assert "text" in written(message("user", document))[0][0]["content"][1]
    assert len(written(message("user", document, "read it"))[0][0]["content"]) == 2


def test_names_of_speakers_are_told_as_lost():
    assert written(message("user", "a", name="bob"))[1] == ["messages.name"]
