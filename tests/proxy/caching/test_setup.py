from __future__ import annotations

import msgspec
import pytest

from llmproxy.caching.setup import CacheSetup
from llmproxy.errors import ConfigError


@pytest.mark.parametrize("name", ["llmproxy", "*", "a1.b_c-d"])
def test_a_name_is_a_token(name: str) -> None:
    assert CacheSetup(store="main", name=name).name == name


@pytest.mark.parametrize("name", ["", "1st", "two words", "a;b", "é"])
def test_no_other_name_is_taken(name: str) -> None:
    with pytest.raises(ConfigError, match="no token that begins with a letter") as told:
        CacheSetup(store="main", name=name)

    assert told.value.path == "name"


def test_a_start_waits_no_longer_than_a_worker_may() -> None:
    assert CacheSetup(store="main", warm_within=45.0).warm_within == 45.0

    for seconds in (0.0, 45.1):
        with pytest.raises(ConfigError, match="a time up to 45s"):
            CacheSetup(store="main", warm_within=seconds)


def test_only_the_store_must_be_said() -> None:
    assert msgspec.convert({"store": "main"}, CacheSetup) == CacheSetup(store="main")
