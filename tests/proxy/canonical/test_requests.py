import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import (
    CountRequest,
    EmbedRequest,
    Format,
    GenerateRequest,
    HostedTool,
    Message,
    RerankRequest,
    Text,
    Thinking,
    Tool,
    ToolChoice,
)

from .made import BLOCKS, MARKS, WORDS

MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "system"]),
    content=st.lists(BLOCKS, max_size=3).map(tuple),
)
TOOLS = st.builds(
    Tool, name=WORDS, description=WORDS, strict=st.none() | st.booleans(), cache=MARKS
) | st.builds(HostedTool, origin=WORDS, kind=WORDS, value=st.just({}))
REQUESTS = st.builds(
    GenerateRequest,
    model=WORDS,
    messages=st.lists(MESSAGES, max_size=3).map(tuple),
    system=st.lists(st.builds(Text, text=WORDS), max_size=1).map(tuple),
    tools=st.lists(TOOLS, max_size=2).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, mode=st.sampled_from(["auto", "none", "required"])),
    max_tokens=st.none() | st.integers(0, 9),
    stop=st.lists(WORDS, max_size=2).map(tuple),
    format=st.none() | st.builds(Format, kind=st.sampled_from(["json", "schema"]), name=WORDS),
    thinking=st.none() | st.builds(Thinking, enabled=st.none() | st.booleans(), effort=WORDS),
)


@given(REQUESTS)
def test_a_request_can_be_kept_as_json_and_read_again(request):
    assert msgspec.json.decode(msgspec.json.encode(request), type=GenerateRequest) == request


def test_what_was_not_said_is_not_kept():
    assert msgspec.json.encode(GenerateRequest(model="m")) == b'{"model":"m"}'


def test_a_count_is_of_the_model_that_would_be_asked():
    assert CountRequest(request=GenerateRequest(model="m")).model == "m"


def test_a_text_to_embed_may_be_token_ids():
    request = EmbedRequest(model="m", inputs=("a", (1, 2)))

    assert msgspec.json.decode(msgspec.json.encode(request), type=EmbedRequest) == request


def test_requests_stay_what_they_are():
    with pytest.raises(AttributeError):
        GenerateRequest(model="m").model = "n"


def test_a_ranking_says_what_was_asked_for_alone():
    assert msgspec.json.encode(RerankRequest(model="m", query="q", documents=("a",))) == (
        b'{"model":"m","query":"q","documents":["a"]}'
    )
