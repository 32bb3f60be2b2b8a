from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from llmproxy.errors import ConfigError
from llmproxy.references import Secret
from llmproxy.settings import StoreConfig
from llmproxy.stores import SCHEMES
from llmproxy.stores.layers import make_layers, open_layers
from llmproxy.stores.lmdb import LmdbStore
from llmproxy.stores.memory import MemoryStore

KEY = Secret("ab" * 32, "${env:KEY}")


def made(**settings: Any) -> Any:
    return make_layers(StoreConfig(**settings), SCHEMES)


def test_a_url_alone_is_its_engine() -> None:
    assert isinstance(made(url="memory://"), MemoryStore)


async def test_tiers_and_seal_are_put_around_it(tmp_path: Path) -> None:
    config = StoreConfig(
        url=f"lmdb://{tmp_path}", near="memory://?max_bytes=1MiB", compress="zstd", encryption_key=(KEY,)
    )
    store: Any = open_layers(config, SCHEMES)
    await store.set(b"a", b"secret")

    assert repr(store) == f"<TieredStore lmdb://{tmp_path}>"
    assert isinstance(store.near, MemoryStore)
    assert store.near.max_bytes == 1 << 20
    assert store.near.get_nowait(b"a") == b"secret"
    assert isinstance(store.far.inner, LmdbStore)
    assert b"secret" not in store.far.inner.get_nowait(b"a")
    assert store.far.get_nowait(b"a") == b"secret"
    await store.close()


async def test_values_outlive_a_change_of_key_and_of_compression(tmp_path: Path) -> None:
    old, new = (Secret(each * 32) for each in ("0d", "4e"))
    ways: list[dict[str, Any]] = [
        {"encryption_key": (old,)},
        {"encryption_key": (new, old)},
        {"encryption_key": (new, old), "compress": "zstd", "compress_above": 1},
    ]
    for number, way in enumerate(ways):
        store = open_layers(StoreConfig(url=f"lmdb://{tmp_path}", **way), SCHEMES)
        await store.set(b"%d" % number, b"value" * 100)
        assert await store.multi_get([b"%d" % each for each in range(number + 1)]) == [b"value" * 100] * (
            number + 1
        )
        await store.close()

    store = open_layers(StoreConfig(url=f"lmdb://{tmp_path}", encryption_key=(new,)), SCHEMES)
    assert await store.multi_get([b"0", b"1"]) == [None, b"value" * 100]
    await store.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "memry://"}, "url: no store has the scheme memry://"),
        ({"url": "memory://", "near": "memory://?max=1"}, 'near: unknown option "max"'),
        ({"url": "lmdb:/tmp/c", "near": "redis://h"}, "near: not a store in this process"),
        (
            {"url": "lmdb:/tmp/c", "encryption_key": (KEY, Secret("hunter2", "${env:OLD}"))},
            "encryption_key[1]: not 32 bytes",
        ),
    ],
)
def test_a_mistake_is_told_by_its_key(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as fault:
        made(**settings)

    assert str(fault.value).startswith(message)
    assert "hunter2" not in str(fault.value)


@pytest.mark.parametrize(
    ("module", "settings", "message"),
    [
        ("zstandard", {"compress": "zstd"}, "compress: .*pip install 'llmproxy-gateway.zstd.'"),
        (
            "cryptography.exceptions",
            {"encryption_key": (KEY,)},
            "encryption_key: .*pip install 'llmproxy-gateway.encryption.'",
        ),
    ],
)
def test_an_extra_that_is_missing_is_named(
    module: str, settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ConfigError, match=message):
        made(url="memory://", **settings)
