import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy.canonical import Answer, Choice, GenerateRequest, Message, Reasoning, Text, ToolCall
from llmproxy.signatures import keep_signatures, put_back_signatures

from .canonical.made import CALLS, TEXTS, THOUGHTS


class Kept:
    """A memory without bounds."""

    def __init__(self):
        self.values = {}

    async def get(self, kind, name):
        return self.values.get((kind, name))

    async def put(self, kind, name, value):
        self.values[kind, name] = value

    async def drop(self, kind, name):
        return self.values.pop((kind, name), None) is not None


def thought(text="hm", signature="s"):
    return Reasoning(text=text, signature=signature, origin="anthropic")


def call(name, signature=""):
    return ToolCall(id=name, name="f", arguments='{"a":1}', signature=signature)


def request(*content):
    return GenerateRequest(model="m", messages=(Message(role="assistant", content=content),))


async def again(answered, brought):
    """Keep an answer, then return the turn that its caller brought as the provider gets it."""
    memory = Kept()
    await keep_signatures(Answer(choices=(Choice(content=answered),)), memory)
    return (await put_back_signatures(request(*brought), memory)).messages[0].content


async def test_a_thought_goes_back_before_its_call():
    assert await again((thought(), call("c")), (call("c"),)) == (thought(), call("c"))


async def test_a_calls_own_signature_goes_back_onto_it():
    assert await again((call("c", "s"), call("d")), (call("c"), call("d"))) == (call("c", "s"), call("d"))


async def test_any_of_the_calls_is_enough_to_know_the_turn_by():
    assert await again((thought(), call("c"), call("d")), (call("d"),)) == (thought(), call("d"))


async def test_a_turn_of_text_is_known_by_its_text():
    said = Text(text="hello")

    assert await again((thought(), said), (said,)) == (thought(), said)
    assert await again((thought(), said), (Text(text="hello?"),)) == (Text(text="hello?"),)
    assert await again((Text(text="hello", signature="s"),), (said,)) == (Text(text="hello", signature="s"),)


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ('{"a": 1.0, "b": [{"c": "x"}]}', True),
        ('{"b":[{"c":"x"}],"a":1}', True),
        ('{"a":2,"b":[{"c":"x"}]}', False),
        ("{}", False),
        ("no JSON", False),
    ],
)
async def test_a_call_of_the_same_id_must_call_the_same(given, same):
    def numbered(arguments):
        return ToolCall(id="tool_0", name="f", arguments=arguments)

    answered = numbered('{"a":1,"b":[{"c":"x"}]}')
    brought = numbered(given)

    assert await again((thought(), answered), (brought,)) == ((thought(), brought) if same else (brought,))
    other = msgspec.structs.replace(answered, name="g")
    assert await again((thought(), answered), (other,)) == (other,)


async def test_a_text_that_answers_another_question_brings_nothing_back():
    def talk(question):
        return Message("user", (Text(question),)), Message("assistant", (Text("Yes."),))

    memory = Kept()
    answer = Answer(choices=(Choice(content=(thought("a secret"), Text("Yes."))),))
    await keep_signatures(answer, memory, talk("Is it so?")[:1])
    own = await put_back_signatures(GenerateRequest(model="m", messages=talk("Is it so?")), memory)
    others = await put_back_signatures(GenerateRequest(model="m", messages=talk("Say yes.")), memory)

    assert own.messages[1].content == (thought("a secret"), Text("Yes."))
    assert others.messages[1].content == (Text("Yes."),)


async def test_the_callers_copy_of_a_thought_makes_room_for_the_signed_one():
    copy = Reasoning(text="hm", origin="openai")

    assert await again((thought(), call("c")), (copy, call("c"))) == (thought(), call("c"))


async def test_thoughts_between_calls_and_texts_go_back_to_where_they_stood():
    answered = (thought("1"), Text(text="a"), thought("2"), call("c"), thought("3"), call("d"))
    brought = (Text(text="a"), call("c"), call("d"))

    assert await again(answered, brought) == answered


async def test_a_redacted_thought_goes_back_too():
    secret = Reasoning(redacted="xyz", origin="anthropic")

    assert await again((secret, call("c")), (call("c"),)) == (secret, call("c"))


async def test_what_the_caller_changed_stays_as_the_caller_said_it():
    answered = (thought("1"), Text(text="long talk"), call("c"))
    changed = (call("c"), Text(text="short"))

    given_back = await again(answered, changed)
    assert [block for block in given_back if not isinstance(block, Reasoning)] == list(changed)


@pytest.mark.parametrize("content", [(call("c", "mine"),), (thought(signature="mine"), call("c")), ()])
async def test_a_turn_that_came_signed_or_empty_is_left_alone(content):
    assert await again((thought(), call("c", "kept")), content) == content


async def test_turns_of_the_user_are_left_alone():
    memory = Kept()
    await keep_signatures(Answer(choices=(Choice(content=(thought(), Text(text="a"))),)), memory)
    asked = GenerateRequest(model="m", messages=(Message(role="user", content=(Text(text="a"),)),))

    assert await put_back_signatures(asked, memory) is asked


async def test_answers_without_a_signature_are_not_kept():
    memory = Kept()
    await keep_signatures(Answer(choices=(Choice(content=(Reasoning(text="hm"), call("c"))),)), memory)

    assert memory.values == {}


async def test_arguments_and_texts_are_not_kept():
    memory = Kept()
    answer = Answer(choices=(Choice(content=(thought(), Text(text="a secret"), call("c", "s"))),))
    await keep_signatures(answer, memory)

    assert all(b"secret" not in value and b'"a"' not in value for value in memory.values.values())


@pytest.mark.parametrize("kept", [b"", b"{", b"[1]", b'[{"type":"Unknown"}]', msgspec.msgpack.encode([1])])
async def test_what_another_version_kept_is_as_good_as_forgotten(kept):
    memory = Kept()
    memory.values["signed", "c"] = kept

    assert await put_back_signatures(request(call("c")), memory) == request(call("c"))


@given(
    st.lists(TEXTS | CALLS | THOUGHTS, max_size=6).map(tuple), st.lists(TEXTS | CALLS, max_size=6).map(tuple)
)
async def test_nothing_that_the_caller_said_is_lost_or_moved(answered, brought):
    given_back = await again(answered, brought)
    bare = [
        msgspec.structs.replace(block, signature="")
        for block in given_back
        if not isinstance(block, Reasoning)
    ]

    assert bare == [msgspec.structs.replace(block, signature="") for block in brought]
