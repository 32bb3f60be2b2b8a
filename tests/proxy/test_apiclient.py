import pytest

from llmproxy.apiclient import ApiClient, Refused
from llmproxy.discovery import BadRegistry, RegistryAway
from llmproxy.testing import FakeUpstream


async def test_json_is_asked_for_and_read():
    async with FakeUpstream().reply(json={"a": 1}, headers=[("X-Index", "5")]) as server:
        client = ApiClient(f"{server.url}/base")
        reply, tree = await client.get("/path?x=1", 2.0, [(b"X-Token", b"t")])
        client.close()

    assert tree == {"a": 1}
    assert reply.headers.get("x-index") == "5"
    assert server.requests[0].target == "/base/path?x=1"
    assert server.requests[0].header("x-token") == "t"


async def test_a_refusal_tells_its_status_and_nothing_of_its_body():
    async with FakeUpstream().reply(403, body=b"secret") as server:
        client = ApiClient(server.url)
        with pytest.raises(Refused, match=r"^127.0.0.1:\d+ answers 403$") as refused:
            await client.get("/", 2.0)
        client.close()

    assert refused.value.status == 403


async def test_what_is_not_json_is_nonsense():
    async with FakeUpstream().reply(body=b"<html>") as server:
        client = ApiClient(server.url)
        with pytest.raises(BadRegistry, match="not JSON"):
            await client.get("/", 2.0)
        client.close()


@pytest.mark.parametrize("how", ["reset", "stall"])
async def test_who_does_not_answer_is_away(how):
    upstream = FakeUpstream()
    upstream.reset() if how == "reset" else upstream.stall()
    async with upstream as server:
        client = ApiClient(server.url)
        with pytest.raises(RegistryAway):
            await client.get("/", 0.1)
        client.close()


async def test_nobody_there_is_away():
    client = ApiClient("http://127.0.0.1:9")

    with pytest.raises(RegistryAway, match="It refuses connections"):
        await client.get("/", 1.0)


async def test_a_stream_is_given_up_with_its_block():
    async with FakeUpstream().stream([b"one", b"two"], delay=5.0) as server:
        client = ApiClient(server.url)
        async with client.stream("/", 2.0, idle=10.0) as reply:
            first = await anext(reply.body.pieces())
        client.close()

    assert first == b"one"
    assert server.open_connections == 0


async def test_a_body_is_sent_and_any_answer_is_told():
    async with (
        FakeUpstream()
        .reply(json={"a": 1})
        .reply(400, json={"error": "no"})
        .reply(500, body=b"<html>") as server
    ):
        client = ApiClient(f"{server.url}/base")
        told = [await client.post("/token", 2.0, [(b"X-Token", b"t")], b"a=b") for _ in range(3)]
        client.close()

    assert told == [(200, {"a": 1}), (400, {"error": "no"}), (500, None)]
    assert server.requests[0].body == b"a=b"
    assert server.requests[0].header("x-token") == "t"


async def test_nobody_there_takes_no_body():
    with pytest.raises(RegistryAway, match="It refuses connections"):
        await ApiClient("http://127.0.0.1:9").post("/", 1.0, [], b"")
