from __future__ import annotations

import msgspec

from .stage import policy_of


def test_the_two_profiles_of_this_cache_differ_in_what_the_readme_names() -> None:
    strict, safe = (msgspec.structs.asdict(policy_of(name)) for name in ("rfc9111", "api"))

    assert {name for name, value in strict.items() if value != safe[name]} == {
        "heuristics",
        "set_cookie",
        "shares_credentials",
        "obeys_callers",
        "stale_when_disconnected",
        "negotiates_language",
        "mends_parts",
        "completes_unvalidated",
        "stores_refusals",
    }
