from __future__ import annotations

from collections.abc import Mapping
from sys import getrefcount
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmproxy.config import default_config
from llmproxy.exchange import Endpoint
from llmproxy.patterns import has_dot_segment, normalise_path
from llmproxy.pools import Pool, place_of
from llmproxy.routing import BadPath, Match, MethodNotAllowed, ModelTable, Router
from llmproxy.settings import Config, ModelConfig, PoolConfig, RouteConfig, TargetConfig, UpstreamConfig
from llmproxy.settings import Match as Conditions

SEGMENTS = st.text(alphabet="abz09-_~.", min_size=1, max_size=6).filter(lambda text: set(text) != {"."})
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda segments: "/" + "/".join(segments))


def make_router(*conditions: Conditions) -> Router[RouteConfig]:
    """Name each route by its place."""
    return Router([RouteConfig(name=str(place), match=match) for place, match in enumerate(conditions)])


def find(
    router: Router[RouteConfig],
    path: str,
    *,
    method: str = "GET",
    host: str = "h",
    headers: Mapping[str, str] | None = None,
    query: str = "",
) -> Match[RouteConfig] | MethodNotAllowed | BadPath | None:
    return router.match(method, host, path, (headers or {}).get, query)


def name_of(router: Router[RouteConfig], path: str, **request: str) -> str | None:
    found = find(router, path, **request)  # type: ignore[arg-type]
    return found.route.name if isinstance(found, Match) else None


def test_an_exact_path_wins_over_patterns() -> None:
    router = make_router(Conditions(path="/*"), Conditions(path="/v1/{x}"), Conditions(path="/v1/models"))

    assert name_of(router, "/v1/models") == "2"
    assert name_of(router, "/v1/other") == "1"
    assert name_of(router, "/other") == "0"


def test_the_longest_literal_prefix_wins_among_patterns() -> None:
    router = make_router(
        Conditions(path="/v1/*"), Conditions(path="/v1/files/*"), Conditions(path="/v1/files/{id}")
    )

    assert name_of(router, "/v1/files/a") == "2"
    assert name_of(router, "/v1/files/a/content") == "1"
    assert name_of(router, "/v1/x") == "0"


def test_equals_are_tried_in_config_order() -> None:
    router = make_router(
        Conditions(path="/a", headers={"x-b": "*"}),
        Conditions(path="/a"),
        Conditions(path="/a", methods=("GET",)),
    )

    assert name_of(router, "/a") == "1"


def test_a_path_that_no_route_has_matches_nothing() -> None:
    router = make_router(Conditions(path="/a"), Conditions(path="/b/{x}"))

    assert find(router, "/c") is None
    assert find(router, "*") is None
    assert find(router, "") is None


def test_a_wrong_method_names_the_right_ones() -> None:
    router = make_router(
        Conditions(path="/a", methods=("POST",)),
        Conditions(path="/{x}", methods=("PUT", "DELETE")),
        Conditions(path="/a", methods=("PATCH",), headers={"x-b": "*"}),
    )

    assert find(router, "/a") == MethodNotAllowed(("DELETE", "POST", "PUT"))
    assert name_of(router, "/a", method="PUT") == "1"


def test_a_host_wins_over_a_wildcard_and_that_over_any() -> None:
    router = make_router(
        Conditions(path="/a"),
        Conditions(path="/*", host="*.example.com"),
        Conditions(path="/*", host="*.eu.example.com"),
        Conditions(path="/*", host="API.example.com"),
        Conditions(path="/b", host="*.example.com"),
        Conditions(path="/*", host="[::1]"),
    )

    assert name_of(router, "/a", host="api.example.com:8080") == "3"
    assert name_of(router, "/a", host="Other.Example.com.") == "1"
    assert name_of(router, "/a", host="x.eu.example.com") == "2"
    assert name_of(router, "/b", host="other.example.com") == "4"
    assert name_of(router, "/a", host="example.com") == "0"
    assert name_of(router, "/a", host="") == "0"
    assert name_of(router, "/a", host="[::1]:80") == "5"


def test_a_route_of_any_host_takes_what_the_hosts_own_leave() -> None:
    router = make_router(Conditions(path="/a"), Conditions(path="/b", host="h"))

    assert name_of(router, "/a", host="h") == "0"


def test_header_conditions_hold_exactly_or_by_presence() -> None:
    router = make_router(Conditions(path="/a", headers={"X-Beta": "yes", "x-any": "*"}))

    assert isinstance(find(router, "/a", headers={"x-beta": "yes", "x-any": ""}), Match)
    assert find(router, "/a", headers={"x-beta": "no", "x-any": ""}) is None
    assert find(router, "/a", headers={"x-beta": "yes"}) is None


def test_query_conditions_hold_exactly_or_by_presence() -> None:
    router = make_router(Conditions(path="/a", query={"v": "1 2", "any": "*"}))

    assert isinstance(find(router, "/a", query="any=&v=0&v=1%202"), Match)
    assert find(router, "/a", query="v=1+2") is None
    assert find(router, "/a", query="any&v=1") is None
    assert find(router, "/a") is None


def test_a_path_without_parameters_gives_none() -> None:
    found = find(make_router(Conditions(path="/a/*")), "/a/b")

    assert isinstance(found, Match)
    assert found.params == {}


@pytest.mark.parametrize(
    "path", ["/v1/../admin", "/v1/%2e%2E/admin", "/v1/.", "/v1/a%2f..%5cb", "/v1\\..\\admin"]
)
def test_a_path_with_dot_segments_is_refused(path: str) -> None:
    assert isinstance(find(make_router(Conditions(path="/*"), Conditions(path="/admin")), path), BadPath)


@pytest.mark.parametrize(
    "path", ["//admin", "/admin/", "/%2Fadmin", "/x%2F..x/admin", "\\admin", "/admin%2F", "/Admin"]
)
def test_no_other_spelling_of_slashes_reaches_a_route(path: str) -> None:
    router = make_router(Conditions(path="/*"), Conditions(path="/admin"), Conditions(path="/admin/{x}"))

    assert name_of(router, path) in {"0", None}


def test_an_encoded_unreserved_character_is_that_character() -> None:
    """RFC 3986 section 6.2.2.2: else an upstream would see a path whose route was passed by."""
    router = make_router(Conditions(path="/*"), Conditions(path="/admin"))

    assert name_of(router, "/%61dmin") == "1"


@given(PATHS, st.lists(PATHS, max_size=4))
def test_an_exact_route_is_found_whatever_patterns_stand_before_it(path: str, others: list[str]) -> None:
    patterns = [Conditions(path=other + "/*") for other in others] + [Conditions(path="/{any...}")]
    router = make_router(*patterns, Conditions(path=path))

    assert name_of(router, path) == str(len(patterns))


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_parameters_come_out_as_they_were_put_in(one: str, two: str) -> None:
    assume(not {one, two} & {".", ".."})
    path = f"/a/{quote(one, safe='')}/b/{quote(two, safe='')}"
    assume(not has_dot_segment(normalise_path(path)))

    found = find(make_router(Conditions(path="/a/{one}/b/{two}")), path)

    assert isinstance(found, Match)
    assert found.params == {"one": one, "two": two}


@given(
    st.lists(st.sampled_from(["a", ".", "..", "%2e", "%2E.", "/", "\\", "%2f", "%5C", "b"]), max_size=12).map(
        "".join
    )
)
def test_no_path_that_decodes_to_a_dot_segment_ever_matches(tail: str) -> None:
    router = make_router(
        Conditions(path="/*"),
        Conditions(path="/{x}/{y}"),
        Conditions(path="/a", host="h"),
        Conditions(path="/a/b"),
    )
    path = "/" + tail

    found = find(router, path)

    if {".", ".."} & set(unquote(path).replace("\\", "/").split("/")):
        assert isinstance(found, BadPath)
    else:
        assert isinstance(found, Match)


MODELS = {
    "fast": ModelConfig(upstream="openai", model="gpt-4.1-mini"),
    "gpt-4.1": ModelConfig(upstream="openai"),
    "gpt-*": ModelConfig(upstream="azure"),
    "gpt-5*-mini": ModelConfig(upstream="mini", model="m"),
    "demo/echo": ModelConfig(upstream="demo", model="echo"),
}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("fast", Endpoint("openai", "gpt-4.1-mini")),
        ("gpt-4.1", Endpoint("openai", "gpt-4.1")),
        ("gpt-4o", Endpoint("azure", "gpt-4o")),
        ("gpt-5.1-mini", Endpoint("mini", "m")),
        ("gpt-5-mini", Endpoint("mini", "m")),
        ("gpt-5", Endpoint("azure", "gpt-5")),
        ("demo/echo", Endpoint("demo", "echo")),
        ("azure/org/model", Endpoint("azure", "org/model")),
        ("other/model", Endpoint("main", "other/model")),
        ("azure/", Endpoint("main", "azure/")),
        ("claude", Endpoint("main", "claude")),
    ],
)
def test_a_model_name_leads_to_its_target(name: str, target: Endpoint) -> None:
    assert ModelTable(MODELS, {"openai", "azure", "demo"}, ["main"]).resolve(name) == (target,)


def test_a_route_with_several_targets_offers_them_in_order() -> None:
    targets = ModelTable({}, (), ["one", "two"]).resolve("m")

    assert targets == (Endpoint("one", "m"), Endpoint("two", "m"))


@pytest.mark.parametrize("name", ["claude", "", "/", "/x", "nope/x", "gpt"])
def test_an_unknown_model_leads_nowhere(name: str) -> None:
    assert ModelTable(MODELS, {"openai"}).resolve(name) is None


def test_a_lone_star_takes_every_name_that_nothing_else_takes() -> None:
    table = ModelTable({"*": ModelConfig(upstream="all"), "a*": ModelConfig(upstream="a")})

    assert table.resolve("b") == (Endpoint("all", "b"),)
    assert table.resolve("ab") == (Endpoint("a", "ab"),)


@pytest.mark.parametrize(("length", "kept"), [(40, True), (100_000, False)])
def test_a_long_model_name_is_not_remembered(length: int, kept: bool) -> None:
    table = ModelTable({})
    name = "m" * length
    holders = getrefcount(name)

    assert table.resolve(name) is None
    assert (getrefcount(name) > holders) is kept


def test_only_written_out_names_are_listed() -> None:
    assert ModelTable(MODELS).names() == ("fast", "gpt-4.1", "demo/echo")


def test_a_caller_reaches_through_a_route_what_the_route_names_and_no_more() -> None:
    config = Config(
        models={"a": ModelConfig(upstream="one"), "b": ModelConfig(upstream="one")},
        upstreams={
            "one": UpstreamConfig(base_url="https://h"),
            "two": UpstreamConfig(base_url="https://h"),
            "api": UpstreamConfig(base_url="https://h", dialect="http"),
        },
    )

    def resolve(route: RouteConfig, name: str) -> tuple[Endpoint, ...] | None:
        return ModelTable.for_route(config, route).resolve(name)

    listed = RouteConfig(name="listed", upstream="two", models={"a": ModelConfig(upstream="two")})
    bound = RouteConfig(name="bound", upstream="two")
    free = RouteConfig(name="free")

    assert resolve(listed, "a") == (Endpoint("two", "a"),)
    assert [resolve(listed, name) for name in ("b", "one/x", "two/x", "x")] == [None] * 4
    assert resolve(bound, "two/x") == (Endpoint("two", "x"),)
    assert [resolve(bound, name) for name in ("b", "one/x")] == [
        (Endpoint("two", "b"),),
        (Endpoint("two", "one/x"),),
    ]
    assert resolve(free, "b") == (Endpoint("one", "b"),)
    assert resolve(free, "one/x") == (Endpoint("one", "x"),)
    assert [resolve(free, name) for name in ("api/x", "x")] == [None] * 2


ALIASES = {
    "fast": ModelConfig(alias="groq/llama-3.1-8b-instant"),
    "best": ModelConfig(alias="fast"),
    "mini": ModelConfig(upstream="openai", model="gpt-4o-mini"),
    "small": ModelConfig(alias="mini"),
    "plain": ModelConfig(alias="gpt-4o"),
    "claude-*": ModelConfig(alias="anthropic/claude-*"),
    "llama-*-latest": ModelConfig(upstream="groq", model="meta/llama-*"),
    "round": ModelConfig(alias="trip"),
    "trip": ModelConfig(alias="round"),
}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("fast", Endpoint("groq", "llama-3.1-8b-instant")),
        ("best", Endpoint("groq", "llama-3.1-8b-instant")),
        ("small", Endpoint("openai", "gpt-4o-mini")),
        ("plain", Endpoint("main", "gpt-4o")),
        ("claude-", Endpoint("anthropic", "claude-")),
        ("claude-opus-5", Endpoint("anthropic", "claude-opus-5")),
        ("llama-4-latest", Endpoint("groq", "meta/llama-4")),
    ],
)
def test_a_name_may_lead_to_another_name(name: str, target: Endpoint) -> None:
    assert ModelTable(ALIASES, {"groq", "anthropic", "openai"}, ["main"]).resolve(name) == (target,)


def test_names_that_lead_round_in_a_circle_lead_nowhere() -> None:
    assert ModelTable(ALIASES, (), ["main"]).resolve("round") is None


POOLED = {"fast": ModelConfig(pool="p"), "quick": ModelConfig(alias="fast"), "any-*": ModelConfig(pool="p")}


@pytest.mark.parametrize("name", ["fast", "quick", "any-thing"])
def test_a_name_may_lead_to_a_pool(name: str) -> None:
    pools = {"p": Pool.of("p", [place_of(TargetConfig(upstream="a", model="m"))])}

    assert ModelTable(POOLED, pools=pools).resolve(name) is pools["p"]


def test_a_routes_own_pool_takes_the_names_that_nobody_else_does() -> None:
    pool = Pool.of(
        "p", [place_of(TargetConfig(upstream="a")), place_of(TargetConfig(upstream="b", model="m"))]
    )

    assert ModelTable({}, (), pool).resolve("some") is pool


def test_a_pool_is_reached_where_all_its_upstreams_are() -> None:
    config = Config(
        upstreams={name: UpstreamConfig(base_url="https://h") for name in ("a", "b", "c")},
        pools={"p": PoolConfig(targets=(TargetConfig(upstream="a"), TargetConfig(upstream="b")))},
        models={"m": ModelConfig(pool="p")},
    )
    pools = {"p": Pool.of("p", [place_of(target) for target in config.pools["p"].targets])}

    def names(*upstreams: str) -> tuple[str, ...]:
        targets = tuple(TargetConfig(upstream=name) for name in upstreams)
        return ModelTable.for_route(config, RouteConfig(name="r", targets=targets), pools).names()

    assert names("a", "b") == ("m",)
    assert names("a", "c") == ()


def test_a_name_that_leads_to_another_reaches_no_more_than_its_route() -> None:
    groq, openai = (UpstreamConfig(base_url="https://h") for _ in range(2))
    config = Config(
        models={"fast": ModelConfig(alias="groq/x"), "gpt-*": ModelConfig(alias="openai/gpt-*")},
        upstreams={"groq": groq, "openai": openai},
    )

    def resolve(route: RouteConfig, name: str) -> tuple[Endpoint, ...] | None:
        return ModelTable.for_route(config, route).resolve(name)

    bound = RouteConfig(name="bound", upstream="openai")
    listed = RouteConfig(name="listed", models={"quick": ModelConfig(alias="fast")})

    assert resolve(bound, "fast") == (Endpoint("openai", "fast"),)
    assert resolve(bound, "gpt-5") == (Endpoint("openai", "gpt-5"),)
    assert resolve(listed, "quick") == (Endpoint("groq", "x"),)
    assert resolve(listed, "fast") is None


def test_the_built_in_route_serves_the_demo_model() -> None:
    config = default_config({})

    found = Router(config.routes).match("POST", "h", "/v1/chat/completions", lambda name: None, "")

    assert isinstance(found, Match)
    assert ModelTable.for_route(config, found.route).resolve("demo/echo") == (Endpoint("demo", "echo"),)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("fast", True),
        ("a/anything", True),
        ("opus-4", True),
        ("lost-4", False),
        ("b/x", False),
        ("a/", False),
        ("x", False),
    ],
)
def test_a_name_is_known_that_leads_somewhere_without_being_any_name(name: str, known: bool) -> None:
    models = {
        "fast": ModelConfig(upstream="a"),
        "opus-*": ModelConfig(upstream="a", model="claude-opus-*"),
        "lost-*": ModelConfig(alias="nothing-*"),
    }
    table = ModelTable(models, upstreams=["a"], universe=ModelTable({}, ["a"]))

    assert table.knows(name) is known


OFFERED = {
    "a": ["m", "gpt-4o", "gpt-4o-mini"],
    "b": ["gpt-5", "x"],
}


def offered(table: ModelTable) -> list[str]:
    return sorted(table.offered(lambda upstream: OFFERED.get(upstream, ())))


def test_models_of_upstreams_are_offered_by_upstream_and_model() -> None:
    assert offered(ModelTable({}, ["a", "b", "unknown"])) == [
        "a/gpt-4o",
        "a/gpt-4o-mini",
        "a/m",
        "b/gpt-5",
        "b/x",
    ]


@pytest.mark.parametrize(
    ("name", "model", "names"),
    [
        ("my-*", ModelConfig(upstream="a", model="gpt-*"), ["my-4o", "my-4o-mini"]),
        ("mini-*", ModelConfig(upstream="a", model="gpt-*-mini"), ["mini-4o"]),
        ("gpt-*", ModelConfig(upstream="a"), ["gpt-4o", "gpt-4o-mini"]),
        ("*", ModelConfig(upstream="b"), ["gpt-5", "x"]),
        ("*-of-b", ModelConfig(alias="b/*"), ["gpt-5-of-b", "x-of-b"]),
        ("every-*", ModelConfig(upstream="a", model="m"), []),
        ("twice-*", ModelConfig(upstream="a", model="*-*"), []),
        ("lost-*", ModelConfig(alias="nowhere-*"), []),
    ],
)
def test_what_a_wildcard_takes_is_offered_by_its_target(
    name: str, model: ModelConfig, names: list[str]
) -> None:
    assert offered(ModelTable({name: model}, universe=ModelTable({}, ["a", "b"]))) == names


def test_no_name_is_offered_that_means_another_model() -> None:
    models = {
        "gpt-4o": ModelConfig(upstream="b"),
        "gpt-*": ModelConfig(upstream="a"),
        "gpt-4*": ModelConfig(upstream="b"),
        "b/x": ModelConfig(upstream="a", model="m"),
    }

    assert offered(ModelTable(models, ["b"])) == ["b/gpt-5"]


def test_a_route_offers_what_it_reaches() -> None:
    config = Config(
        models={"every-*": ModelConfig(alias="a/*")},
        upstreams={
            "a": UpstreamConfig(base_url="https://h", dialect="http"),
            "b": UpstreamConfig(base_url="https://h"),
        },
    )
    bound = RouteConfig(name="bound", upstream="b")
    listed = RouteConfig(name="listed", models={"five": ModelConfig(upstream="b", model="gpt-5")})
    starred = RouteConfig(name="starred", models={"five-*": ModelConfig(alias="b/gpt-*")})

    def names(route: RouteConfig) -> list[str]:
        return offered(ModelTable.for_route(config, route))

    assert names(RouteConfig(name="free")) == names(bound) == ["b/gpt-5", "b/x"]
    assert (names(listed), names(starred)) == ([], ["five-5"])
