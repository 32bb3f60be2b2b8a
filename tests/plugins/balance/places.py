"""Pools by hand: what strategies and gates are tried on."""

from llmproxy.decode import decode_struct
from llmproxy.pools import Place, Pool, place_of
from llmproxy.poolsettings import TargetConfig
from llmproxy.testing import make_exchange


def target(**known):
    return decode_struct(TargetConfig, {"upstream": "up", **known}, "target")


def pool_of(*weights, name="pool", **known):
    """A pool of places named a, b, c... with these weights, or with these targets."""
    targets = [
        each if isinstance(each, TargetConfig) else target(model=letter, name=letter, weight=each, **known)
        for letter, each in zip("abcdefghijklmnopqrstuvwxyz", weights, strict=False)
    ]
    return Pool.of(name, map(place_of, targets))


def nested(name, *pools):
    """A pool of pools."""
    return Pool.of(name, [Place(pool.name, TargetConfig(pool=pool.name), pool=pool) for pool in pools])


def names(places):
    return [place.name for place in places]


def asking(*messages, **members):
    """An exchange that asks for a chat, its body at hand."""
    from llmproxy_openai import OpenAIPlugin

    talk = [{"role": "user", "content": text} for text in messages] or [{"role": "user", "content": "Hi."}]
    body = {"model": "m", "messages": talk, **members}
    exchange = make_exchange(body=body, model="m", streamed=bool(members.get("stream")))
    exchange.client_face = face_of(OpenAIPlugin)
    assert exchange.take_body()
    return exchange


def face_of(plugin, dialect="openai"):
    from llmproxy.registry import NoConfig, Registrations, Registry

    into = Registrations()
    plugin(dialect, NoConfig()).register(Registry(dialect, into))
    return into.client_faces[dialect]
