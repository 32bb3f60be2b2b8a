"""Requests of pools are taken to where they belong, and copies of them to mirrors, by a gateway."""

from collections import Counter

import orjson
import pytest

from llmproxy.testing import FakeUpstream, RawClient, running_gateway

ANSWER = {
    "id": "resp_from_",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [],
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
}


CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
}


def config(balance=None, route=None, *, native=True, **upstreams):
    return {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0"},
        "upstreams": {
            name: {"base_url": f"{each.url}/v1", "proxy": None, "quirks": {"responses": native}}
            for name, each in upstreams.items()
        },
        "plugins": {"balance": balance or {}},
        "pools": {"p": {"targets": [{"upstream": name} for name in upstreams], "strategy": "round_robin"}},
        "models": {"*": {"pool": "p"}},
        "routes": [{"name": "models", "plugins": [{"balance": route or {}}]}],
    }


async def ask(gateway, path="/v1/responses", **fields):
    body = orjson.dumps({"model": "m", "input": "x", **fields})
    async with RawClient(gateway.url) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
        return await client.exchange(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


@pytest.fixture
async def upstreams():
    async with FakeUpstream() as a, FakeUpstream() as b, FakeUpstream() as c:
        for name, each in zip("abc", (a, b, c), strict=True):
            each.reply(json={**ANSWER, "id": f"resp_from_{name}_12345678"})
        yield {"a": a, "b": b, "c": c}


async def test_an_answer_is_continued_where_it_is_held(upstreams):
    async with running_gateway(config(**upstreams)) as gateway:
        first = (await ask(gateway)).json()
        for _ in range(6):
            again = (await ask(gateway, previous_response_id=first["id"])).json()

            assert again["id"] == first["id"]


async def test_an_answer_that_the_gateway_holds_itself_is_continued_anywhere(upstreams):
    for each in upstreams.values():
        each.reply(json=CHAT, path="/v1/chat/completions")
    async with running_gateway(config(native=False, **upstreams)) as gateway:
        first = (await ask(gateway)).json()
        replies = [await ask(gateway, previous_response_id=first["id"]) for _ in range(6)]

    assert {reply.status for reply in replies} == {200}
    assert all(len(each.requests) > 1 for each in upstreams.values())


async def test_nothing_is_followed_where_that_is_left_off(upstreams):
    async with running_gateway(config({"origins": False}, **upstreams)) as gateway:
        first = (await ask(gateway)).json()
        found = {(await ask(gateway, previous_response_id=first["id"])).json()["id"] for _ in range(6)}

    assert len(found) == 3


async def test_a_held_answer_whose_place_is_away_is_asked_of_nobody_else(upstreams):
    async with running_gateway(config(**upstreams)) as gateway:
        first = (await ask(gateway)).json()
        home = upstreams[first["id"][len("resp_from_")]]
        home.reply(503, json={"error": {"message": "away", "type": "server_error"}})
        others = [each for each in upstreams.values() if each is not home]
        before = sum(len(each.requests) for each in others)
        await ask(gateway, previous_response_id=first["id"])  # the last good answer
        replies = [await ask(gateway, previous_response_id=first["id"]) for _ in range(3)]

    assert {reply.status for reply in replies} == {503}
    assert sum(len(each.requests) for each in others) == before


@pytest.mark.parametrize("balance", [{"affinity": {"by": ["session"], "load": 3}}, {}])
async def test_sessions_stay_at_their_places(upstreams, balance):
    route = {} if balance else {"affinity": {"by": ["session"], "load": 3}}
    async with running_gateway(config(balance, route, **upstreams)) as gateway:
        homes = {}
        for turn in range(4):
            for user in range(12):
                answered = (await ask(gateway, user=f"u{user}")).json()["id"]

                assert homes.setdefault(user, answered) == answered, turn

    assert len(set(homes.values())) == 3


async def test_mirrors_get_copies_and_answer_nobody(upstreams):
    tree = config(**upstreams)
    tree["pools"]["p"]["targets"] = ["a", {"upstream": "b", "mirror": 1}, {"upstream": "c", "mirror": 0.01}]
    tree["plugins"]["balance"] = {"seed": 1}
    async with running_gateway(tree) as gateway:
        found = Counter([(await ask(gateway)).json()["id"] for _ in range(10)])
        await upstreams["b"].received(10)

    assert set(found) == {"resp_from_a_12345678"}
    assert upstreams["b"].requests[0].body == upstreams["a"].requests[0].body
    assert len(upstreams["c"].requests) < 5


async def test_a_mirror_that_fails_harms_nobody(upstreams):
    tree = config(**upstreams)
    tree["pools"]["p"]["targets"] = ["a", {"upstream": "b", "mirror": 1}]
    upstreams["b"].reset(path="/v1/responses")
    async with running_gateway(tree) as gateway:
        replies = [await ask(gateway) for _ in range(5)]
        await upstreams["b"].received(5)

    assert {reply.status for reply in replies} == {200}
