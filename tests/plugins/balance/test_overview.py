from __future__ import annotations

from llmproxy.plugin import Pool
from llmproxy.pools import place_of
from llmproxy.poolsettings import TargetConfig
from llmproxy_balance.overview import Seen, shown

from .places import nested

SEEN = Seen("open", "failures", "2026-01-01T00:00:00+00:00", 0.0, 4.2, 1, 0.1)


def test_each_place_is_shown_as_each_worker_sees_it() -> None:
    pool = Pool.of(
        "p", [place_of(TargetConfig(upstream="a", model="m")), place_of(TargetConfig(upstream="b"))]
    )

    assert shown(pool, {1: {"p": {"a/m": SEEN}}, 0: {"p": {"a/m": SEEN, "gone": SEEN}}, 2: {}}) == {
        "name": "p",
        "places": [
            {
                "name": "a/m",
                "upstream": "a",
                "model": "m",
                "weight": 1.0,
                "workers": {slot: _told(SEEN) for slot in ("0", "1")},
            },
            {"name": "b", "upstream": "b", "model": None, "weight": 1.0, "workers": {}},
        ],
    }


def test_a_pool_within_a_pool_is_shown_by_its_name() -> None:
    inner = Pool.of("inner", [place_of(TargetConfig(upstream="a"))])

    assert shown(nested("outer", inner), {})["places"] == [{"name": "inner", "pool": "inner", "weight": 1.0}]


def _told(seen: Seen) -> dict[str, object]:
    return {name: getattr(seen, name) for name in seen.__struct_fields__}
