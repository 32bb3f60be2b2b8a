"""Opaque items are found in requests and answers, and lead back to who made them."""

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmproxy_balance.origins import MOST, Item, Origin, OriginReader, Origins, items_of, may_refer

SIGNATURE = "EuYBCkQYAiJA" + "s" * 500
SEALED = "gAAAAABo" + "x" * 5000


class Bus:
    """All workers of a host, as one list of their ears."""

    def __init__(self):
        self.ears = []

    async def publish(self, topic, payload):
        for ear in self.ears:
            ear(payload, None)

    def subscribe(self, topic, handler):
        self.ears.append(handler)
        return lambda: self.ears.remove(handler)


def found(answer, cuts=(), path=""):
    seen = []
    reader = OriginReader(seen.extend, path)
    places = [0, *sorted(cut % (len(answer) + 1) for cut in cuts), len(answer)]
    for start, end in itertools.pairwise(places):
        if start != end:
            reader.feed(answer[start:end])
    reader.end()
    return seen


def event(**fields):
    return b"event: x\ndata: " + orjson.dumps(fields) + b"\n\n"


ANSWERS = {
    "resp_0123456789": orjson.dumps({"id": "resp_0123456789", "object": "response"}),
    "file-0123456789": orjson.dumps({"object": "file", "id": "file-0123456789"}),
    "file_0123456789": orjson.dumps({"type": "file", "id": "file_0123456789"}),
    "batch_0123": orjson.dumps({"id": "batch_0123", "status": "in_progress"}),
    SIGNATURE[:240]: event(
        type="content_block_delta", delta={"type": "signature_delta", "signature": SIGNATURE}
    ),
    SEALED[:240]: event(
        type="response.output_item.done", item={"type": "reasoning", "encrypted_content": SEALED}
    ),
    "thought-0123456789": event(
        candidates=[{"content": {"parts": [{"thoughtSignature": "thought-0123456789"}]}}]
    ),
    "https://g.example/v1beta/files/abc": orjson.dumps(
        {"file": {"name": "files/abc", "uri": "https://g.example/v1beta/files/abc"}}
    ),
}


@pytest.mark.parametrize("item", ANSWERS)
def test_an_answer_shows_what_it_made(item):
    assert found(ANSWERS[item]) == [item.encode()]


@given(
    items=st.lists(st.sampled_from(list(ANSWERS)), min_size=1, max_size=4, unique=True),
    cuts=st.lists(st.integers(0, 10_000), max_size=20),
)
def test_it_does_so_however_it_is_cut(items, cuts):
    answer = (event(id="chatcmpl-1", choices=[]) * 3).join(ANSWERS[item] for item in items)

    assert found(answer, cuts) == [item.encode() for item in items]


@given(
    items=st.lists(st.sampled_from([SIGNATURE[:240], "thought-0123456789"]), max_size=2, unique=True),
    cuts=st.lists(st.integers(0, 10_000), max_size=20),
)
def test_a_chat_completion_shows_what_is_signed_however_it_is_cut(items, cuts):
    chunk = event(id="chatcmpl-1", choices=[{"delta": {"content": "signs and encryption"}}])
    answer = chunk + chunk.join(ANSWERS[item] for item in items) + chunk

    assert found(answer, cuts, "/v1/chat/completions") == [item.encode() for item in items]


def test_an_answer_without_any_shows_none():
    answer = orjson.dumps(
        {
            "id": "chatcmpl-12345678",
            "choices": [{"message": {"content": 'he wrote "signature": "123456789"'}}],
        }
    )

    assert found(answer) == []


REQUESTS = [
    ({"previous_response_id": "resp_0123456789"}, [Item(b"resp_0123456789", True)]),
    ({"conversation": "conv_0123456789"}, [Item(b"conv_0123456789", True)]),
    ({"conversation": {"id": "conv_0123456789"}}, [Item(b"conv_0123456789", True)]),
    ({"input": [{"type": "input_file", "file_id": "file-0123456789"}]}, [Item(b"file-0123456789", True)]),
    (
        {"contents": [{"fileData": {"fileUri": "https://g.example/v1beta/files/abc"}}]},
        [Item(b"https://g.example/v1beta/files/abc", True)],
    ),
    ({"input": [{"type": "reasoning", "encrypted_content": SEALED}]}, [Item(SEALED[:240].encode(), True)]),
    (
        {"messages": [{"content": [{"type": "thinking", "signature": SIGNATURE}]}]},
        [Item(SIGNATURE[:240].encode(), False)],
    ),
    (
        {"previous_response_id": "resp_0123456789", "x": [{"signature": "12345678"}]},
        [Item(b"12345678", False), Item(b"resp_0123456789", True)],
    ),
    ({"messages": [{"role": "user", "content": 'a "signature": "0123456789" in a text'}]}, []),
]


@pytest.mark.parametrize(("fields", "items"), REQUESTS)
def test_a_request_shows_what_it_refers_to(fields, items):
    assert items_of(orjson.dumps(fields)) == items
    assert items_of(orjson.dumps(fields, option=orjson.OPT_INDENT_2)) == items
    assert may_refer(orjson.dumps(fields)) == bool(items)


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("/v1/responses/resp_0123456789/input_items", b"resp_0123456789"),
        ("/v1/files/file-0123456789/content", b"file-0123456789"),
        ("/v1/messages/batches/msgbatch_0123456789", b"msgbatch_0123456789"),
    ],
)
def test_a_path_refers_to_what_it_names(path, item):
    assert items_of(b"", path) == [Item(item, True)]
    assert may_refer(b"", path)


async def test_what_an_upstream_made_leads_back_to_it():
    origins = Origins(Bus())
    await origins.remember("t", [b"resp_0123456789"], "west")

    assert await origins.find("t", [Item(b"resp_0123456789", True)]) == Origin("west", strict=True)
    assert await origins.find("t", [Item(b"resp_9", True)]) is None


async def test_one_tenants_items_lead_nobody_else_anywhere():
    origins = Origins(Bus())
    await origins.remember("t", [b"resp_0123456789"], "west")

    assert await origins.find("u", [Item(b"resp_0123456789", True)]) is None


async def test_what_only_one_can_take_comes_before_what_others_may():
    origins = Origins(Bus())
    await origins.remember("t", [b"signature-1"], "east")
    await origins.remember("t", [b"signature-0"], "north")
    await origins.remember("t", [b"resp_0123456789"], "west")
    items = [Item(b"signature-1", False), Item(b"signature-0", False), Item(b"resp_0123456789", True)]

    assert await origins.find("t", items) == Origin("west", strict=True)
    assert await origins.find("t", items[:2]) == Origin("east", strict=False)


async def test_the_workers_of_a_host_tell_one_another():
    bus = Bus()
    one, other = Origins(bus), Origins(bus)
    leave = other.listen()
    await one.remember("t", [b"resp_0123456789"], "west")
    leave()
    await one.remember("t", [b"resp_1"], "west")

    assert await other.find("t", [Item(b"resp_0123456789", True)]) == Origin("west", strict=True)
    assert await other.find("t", [Item(b"resp_1", True)]) is None


async def test_it_remembers_so_many_and_no_more():
    origins = Origins(Bus())
    await origins.remember("t", [b"%d" % n for n in range(MOST + 1)], "west")

    assert await origins.find("t", [Item(b"0", True)]) is None
    assert await origins.find("t", [Item(b"1", True)]) is not None
