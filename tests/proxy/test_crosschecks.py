from __future__ import annotations

from typing import Any

import pytest

from llmproxy.crosschecks import cross_check
from llmproxy.decode import decode_struct
from llmproxy.settings import Config

SOUND: dict[str, Any] = {
    "listen": ["127.0.0.1:1", "unix:/run/s", "127.0.0.1:0", "[::1]:0"],
    "upstreams": {"main": {"base_url": "https://h"}, "api": {"base_url": "https://h", "dialect": "http"}},
    "plugins": {"cache": {}, "quota": {}},
    "pipeline": ["quota"],
    "models": {"gpt-*": {"upstream": "main"}},
    "routes": [{"name": "a", "upstream": "main", "plugins": ["cache"]}],
}


def mistakes(**changes: object) -> list[str]:
    return [str(error) for error in cross_check(decode_struct(Config, SOUND | changes))]


def test_what_walks_pools_may_be_listed_without_being_configured() -> None:
    assert (
        mistakes(routes=[{"name": "a", "upstream": "main", "plugins": [{"balance": {"retries": 1}}]}]) == []
    )


def test_a_sound_configuration_passes() -> None:
    assert mistakes() == []
    assert mistakes(admin={"listen": "off"}) == []
    assert mistakes(routes=[{"name": "a", "upstream": "main", "plugins": [{"quota": {"size": 2}}]}]) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"routes": [{"name": "a", "upstream": "mian"}]},
            'routes[0].upstream: unknown upstream "mian"; did you mean',
        ),
        (
            {"routes": [{"name": "a", "plugins": ["cahce"]}]},
            'routes[0].plugins[0]: unknown plugin "cahce"; did you',
        ),
        (
            {"routes": [{"name": "a", "models": {"m": {"upstream": "x"}}}]},
            'routes[0].models.m.upstream: unknown upstream "x" (known: api, main)',
        ),
        (
            {"models": {"a": "a"}},
            'models.a.alias: "a" leads back here',
        ),
        (
            {"models": {"fast": "main/*"}},
            'models.fast.alias: holds a "*" that stands for nothing',
        ),
        (
            {"models": {"fast": "main/m", "f": "fst"}, "routes": []},
            "models.f.alias: unknown model \"fst\"; did you mean 'fast'?",
        ),
        (
            {"routes": [{"name": "a", "models": {"m": "maim/x"}}]},
            'routes[0].models.m.alias: unknown model "maim/x"',
        ),
        (
            {"routes": [{"name": "a", "upstream": "api", "models": {"m": {"upstream": "main"}}}]},
            'routes[0].models: upstream "api" serves no models',
        ),
        (
            {"routes": [{"name": "a", "plugins": ["cache", "cache"]}]},
            'routes[0].plugins[1]: plugin "cache" stands in',
        ),
        (
            {"routes": [{"name": "a", "plugins": ["quota"]}]},
            'routes[0].plugins[0]: plugin "quota" is in the pipeline',
        ),
        (
            {"routes": [{"name": "a", "targets": ["main", "mian"]}]},
            'routes[0].targets[1].upstream: unknown upstream "mian"; did you mean',
        ),
        (
            {"routes": [{"name": "a", "targets": ["main", "main"]}]},
            "routes[0].targets[1]: the same place as targets[0]",
        ),
        (
            {"routes": [{"name": "a", "targets": ["api", "main"]}]},
            'routes[0].targets: upstream "main" serves models, another target plain HTTP',
        ),
        (
            {"pools": {"p": ["main", "mian"]}},
            'pools.p.targets[1].upstream: unknown upstream "mian"; did you mean',
        ),
        ({"pools": {"p": [{"pool": "p"}]}}, "pools.p: leads back to itself"),
        ({"pools": {"p": [{"pool": "q"}]}}, 'pools.p.targets[0].pool: unknown pool "q"'),
        (
            {"pools": {"p": [{"upstream": "main", "members": "dns"}]}},
            'pools.p.targets[0].members: unknown plugin "dns"',
        ),
        (
            {
                "upstreams": SOUND["upstreams"] | {"far": {"base_url": "https://h", "proxy": "http://p"}},
                "pools": {"p": [{"upstream": "far", "members": "cache"}]},
            },
            'pools.p.targets[0].members: members are reached directly, and upstream "far" has a proxy',
        ),
        (
            {"pools": {"p": ["main"], "q": ["p"]}},
            'pools.q.targets[0].upstream: "p" is a pool; write {pool: p}',
        ),
        ({"pools": {"p": ["main"]}, "models": {"p": "p"}}, 'models.p.alias: "p" is a pool; write {pool: p}'),
        (
            {"pools": {"p": ["main"]}, "routes": [{"name": "a", "upstream": "p"}]},
            'routes[0].upstream: "p" is a pool; write {pool: p}',
        ),
        ({"models": {"m": ["main/a", "mian/b"]}}, 'models.m.targets[1].upstream: unknown upstream "mian"'),
        (
            {"pools": {"m": ["main"]}, "models": {"m": ["main"]}},
            'models.m.targets: there is a pool "m" already',
        ),
        (
            {"routes": [{"name": "a", "pool": "main"}]},
            'routes[0].pool: "main" is an upstream; write {upstream: main}',
        ),
        ({"models": {"m": {"pool": "p"}}}, 'models.m.pool: unknown pool "p"'),
        ({"routes": [{"name": "a", "pool": "p"}]}, 'routes[0].pool: unknown pool "p"'),
        (
            {"pools": {"p": ["api", "main"]}, "routes": [{"name": "a", "pool": "p"}]},
            'routes[0].pool: upstream "main" serves models, another target plain HTTP',
        ),
        (
            {"pipeline": ["x"]},
            'pipeline[0]: unknown plugin "x" (known: cache, quota); write `plugins: {x: {}}`',
        ),
        (
            {"plugins": SOUND["plugins"] | {"walk": {"use": "balance"}}, "pipeline": ["quota", "balance"]},
            'pipeline[1]: unknown plugin "balance"',
        ),
        ({"models": {"a-*-*": {"upstream": "main"}}}, 'models["a-*-*"]: "a-*-*" holds more than one "*"'),
        (
            {"models": {"m": {"upstream": "mainn"}}},
            'models.m.upstream: unknown upstream "mainn"; did you mean',
        ),
        (
            {"routes": [{"name": "a", "match": {"path": "/1"}}, {"name": "a", "match": {"path": "/2"}}]},
            'routes[1].name: "a" is the name of routes[0] already',
        ),
        ({"routes": [{"name": "a"}, {"name": "b"}]}, 'routes[1].match: the same as that of route "a"'),
        (
            {"listen": ["127.0.0.1:1", "127.0.0.1:1"]},
            'listen[1].address: "127.0.0.1:1" is the address of listen[0]',
        ),
        ({"listen": "127.0.0.1:9901"}, 'listen[0].address: "127.0.0.1:9901" is the address of admin.listen'),
        ({"listen": []}, "listen: empty"),
        (
            {"memory": "shard", "stores": {"shared": "memory://"}},
            'memory: unknown store "shard"; did you mean',
        ),
    ],
)
def test_what_does_not_fit_together_is_told(changes: dict[str, object], message: str) -> None:
    [told] = mistakes(**changes)

    assert told.startswith(message)
