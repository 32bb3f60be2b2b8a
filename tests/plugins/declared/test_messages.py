from __future__ import annotations

from llmproxy.canonical import (
    CacheMark,
    FileRef,
    HostedTool,
    Image,
    Inline,
    Link,
    Losses,
    Message,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from llmproxy_declared.messages import MessageWriter, pictures, written_tools
from llmproxy_declared.shapes import Shapes, ShapesConfig

PLAIN = Shapes(ShapesConfig())
PARTED = Shapes(ShapesConfig(image={"type": "image_url", "image_url": {"url": "{url}"}}))
TALK = (
    Message("user", (Text("Weather?"),), name="ada"),
    Message("assistant", (ToolCall("c1", "look", '{"city":"Rome"}'),)),
    Message("user", (ToolResult("c1", (Text("sun"),), name="look", is_error=True), Text("And?"))),
)
PICTURE = Message("user", (Text("What?"), Image(Inline("image/png", "aaaa"), detail="low")))


def write(
    shapes: Shapes, messages: tuple[Message, ...], *, tools: bool = True, **roles: str
) -> tuple[object, list[str]]:
    losses = Losses()
    written = MessageWriter(shapes, roles, losses, tools=tools).write((), messages)
    return written, [loss.field for loss in losses]


def test_calls_and_results_are_written_where_tools_are():
    written, lost = write(PLAIN, TALK)

    function = {"name": "look", "arguments": '{"city":"Rome"}'}
    assert written == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
        {"role": "user", "content": "And?"},
    ]
    assert lost == ["messages.name", "tool_result.is_error"]


def test_they_are_told_as_far_as_text_goes_where_tools_are_not():
    written, lost = write(PLAIN, TALK, tools=False)

    assert written == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "sun\nAnd?"},
    ]
    assert lost == ["messages.name", "tool_calls", "tool_result"]


def test_roles_and_members_are_the_endpoints_own():
    shapes = Shapes(ShapesConfig(message={"who": "{role}", "says": "{text}", "as": "{name}"}))
    written, lost = write(shapes, TALK[:1], user="HUMAN")

    assert written == [{"who": "HUMAN", "says": "Weather?", "as": "ada"}]
    assert lost == []


def test_instructions_come_first():
    written = MessageWriter(PLAIN, {}, Losses(), tools=False).write((Text("A"), Text("B")), TALK[:1])

    assert written[0] == {"role": "system", "content": "A\nB"}


def test_pictures_are_parts_where_they_have_a_shape():
    written, lost = write(PARTED, (PICTURE,))

    assert written == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}},
            ],
        }
    ]
    assert lost == ["image.detail"]
    assert write(PLAIN, (PICTURE,)) == ([{"role": "user", "content": "What?"}], ["content.image"])


def test_links_are_carried_and_files_are_not():
    link = Message("user", (Image(Link("http://x/y.png")),))
    file = Message("user", (Image(FileRef("f", "openai")),))

    assert write(PARTED, (link,))[0] == [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}
    ]
    assert write(PARTED, (file,))[1] == ["content.image"]


def test_a_call_may_have_its_arguments_as_an_object():
    shapes = Shapes(ShapesConfig(tool_call={"fn": "{name}", "with": "{input}"}))
    written, _ = write(shapes, (Message("assistant", (Text("Wait."), ToolCall("c", "f", "no json"))),))

    assert written == [{"role": "assistant", "content": "Wait.", "tool_calls": [{"fn": "f", "with": {}}]}]


def test_tools_are_written_and_hosted_ones_are_lost():
    losses = Losses()
    tools = [
        Tool("look", "Looks.", {"type": "object"}, True, CacheMark()),
        HostedTool("openai", "web_search", {}),
    ]
    shapes = Shapes(ShapesConfig(tool={"name": "{name}", "schema": "{parameters}"}))

    assert written_tools(tools, shapes, losses) == [{"name": "look", "schema": {"type": "object"}}]
    assert [loss.field for loss in losses] == ["tools.strict", "tools.cache", "tools.hosted"]


def test_pictures_are_their_bytes():
    losses = Losses()

    assert pictures([PICTURE, Message("user", (Image(FileRef("f", "openai")),))], losses) == ["aaaa"]
    assert "content.image" in losses
