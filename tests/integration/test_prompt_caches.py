"""Sessions over places that each have a prompt cache of their own: as good as one place alone, and evenly loaded."""

import asyncio
import random
from collections import Counter
from hashlib import blake2b

import orjson
import pytest

from llmproxy.plugin import Endpoint, Place
from llmproxy.poolsettings import TargetConfig
from llmproxy.testing import RawClient, wire
from llmproxy_balance.affinity import Affinity
from llmproxy_balance.belongingsettings import AffinitySettings

from .process import GatewayProcess

#: Seconds that a provider keeps a prompt after it was last asked for (Anthropic's ephemeral cache, OpenAI's at least).
KEPT = 300.0


def turns(rng, *, sessions, most):
    """Return (time, session) of every turn, in order: sessions of very different length, some asleep at times."""
    found = []
    for session in range(sessions):
        at = rng.uniform(0, 1800)
        for _ in range(min(most, int(rng.paretovariate(1.1)) + 2)):
            found.append((at, session))
            at += rng.expovariate(1 / 30) + (rng.random() < 0.05) * rng.uniform(200, 900)
    return sorted(found)


def simulated(events, choose):
    """Return how many turns found their prompt cached, and how many each place served."""
    cached, hits, served = {}, 0, Counter()
    for now, session in events:
        where = choose(session, now)
        hits += now - cached.get((where, session), -KEPT - 1) <= KEPT
        cached[where, session] = now
        served[where] += 1
    return hits, served


@pytest.mark.parametrize("targets", [2, 3, 8])
@pytest.mark.parametrize("seed", range(3))
def test_sessions_hit_as_often_as_with_one_place_and_the_load_is_even(targets, seed, capsys):
    events = turns(random.Random(seed), sessions=1500, most=200)
    places = [
        Place(f"p{n}", TargetConfig(upstream=f"p{n}"), endpoint=Endpoint(f"p{n}")) for n in range(targets)
    ]
    affinity = Affinity(AffinitySettings(load=1.25))

    def by_affinity(session, now):
        key = b"%d" % session
        place = affinity.choose(key, places, now)
        affinity.served(key, place, now)
        return place.name

    alone, _ = simulated(events, lambda session, now: "one")
    hits, served = simulated(events, by_affinity)
    scattered, _ = simulated(
        events, lambda session, now: random.Random(f"{session}{now}").choice(places).name
    )
    most = max(served.values()) / (len(events) / targets)
    with capsys.disabled():
        print(f"\n{targets} places, {len(events)} turns, {hits / alone:.3f} of one place's hits,", end=" ")
        print(f"load {most:.2f} x even; at random {scattered / alone:.3f}")

    assert hits >= 0.95 * alone
    assert most <= 1.25
    assert scattered < 0.95 * alone  # the simulation tells good from bad


class Provider:
    """A provider of chat completions that has read a prompt before, or not."""

    def __init__(self):
        self.known = set()
        self.hits = self.asked = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        try:
            while (head := await wire.read_head(reader)) is not None:
                asked = orjson.loads((await wire.read_payload(reader, head, until_close=False)).body)
                writer.write(self.answer(asked))
                await writer.drain()
        except (OSError, wire.WireFault):
            pass
        finally:
            writer.close()

    def answer(self, asked):
        turns = [orjson.dumps(turn) for turn in asked["messages"]]
        self.asked += 1
        self.hits += prefix(turns[:-2]) in self.known
        self.known.add(prefix(turns))
        body = orjson.dumps(
            {
                "id": "c",
                "object": "chat.completion",
                "created": 1,
                "model": asked["model"],
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
                ],
            }
        )
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        return head % len(body) + body


def prefix(turns):
    return blake2b(b"".join(turns), digest_size=16).digest()


async def talk(url, session, length, by):
    """Have a conversation of so many turns; return how many of them could be cached."""
    messages = [{"role": "system", "content": "be brief"}]
    async with RawClient(url) as client:
        for turn in range(length):
            messages.append({"role": "user", "content": f"{session}: what about {turn}?"})
            body = orjson.dumps({"model": "m", "messages": messages, **by(session)})
            head = "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
            reply = await client.exchange(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert reply.status == 200
            messages.append({"role": "assistant", "content": "yes"})
    return length - 1


@pytest.mark.parametrize("named", [True, False], ids=["named", "by-prefix"])
async def test_through_a_gateway_of_two_workers_too(named, tmp_path, capsys):
    rng = random.Random(4)
    lengths = [min(25, int(rng.paretovariate(1.2)) + 2) for _ in range(150)]
    async with Provider() as a, Provider() as b, Provider() as c:
        providers = [a, b, c]
        config = {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0", "token": "${env:TOKEN}"},
            "upstreams": {
                name: {"base_url": each.url, "proxy": None}
                for name, each in zip("abc", providers, strict=True)
            },
            "plugins": {"balance": {"affinity": {"by": ["session", "prefix"]}}},
            "pools": {"p": {"targets": ["a", "b", "c"], "strategy": "round_robin"}},
            "models": {"m": {"pool": "p"}},
            "routes": [{"name": "models"}],
        }
        file = tmp_path / "gateway.json"
        file.write_bytes(orjson.dumps(config))
        with GatewayProcess(
            "-c", file, "--workers", "2", environ={"TOKEN": "admin-token-0123456789"}
        ) as gateway:
            room = asyncio.Semaphore(12)

            async def one(number, length):
                async with room:
                    return await talk(
                        gateway.url, number, length, lambda n: {"user": f"u{n}"} if named else {}
                    )

            alone = sum(await asyncio.gather(*(one(*each) for each in enumerate(lengths))))
    hits = sum(each.hits for each in providers)
    most = max(each.asked for each in providers) / (sum(each.asked for each in providers) / 3)
    with capsys.disabled():
        print(
            f"\n3 providers, 2 workers, {sum(lengths)} turns, {hits / alone:.3f} of one's hits, load {most:.2f} x even"
        )

    assert hits >= 0.95 * alone
    assert most <= 1.25
