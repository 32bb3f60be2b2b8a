"""From a configuration to routes: what is taken, what is refused and how it is told."""

import pytest

from llmproxy.assembly import Assembly
from llmproxy.config import decode
from llmproxy.errors import ConfigError, ConfigErrors, StartError
from llmproxy.messages import ClientRequest, Headers
from llmproxy.plugin import Endpoint, Plugin, Pool, StoreName, hookimpl
from llmproxy.routebuilding import build_routes
from llmproxy.sections import Section
from llmproxy.testing import make_process
from llmproxy.testing.classes import with_names

from .toy_dialects import ToyPlugin

API = {"base_url": "http://127.0.0.1:9/base", "dialect": "http", "proxy": None}
AI = {"base_url": "http://127.0.0.1:9/v1", "dialect": "openai", "proxy": None, "api_key": "${env:KEY}"}


def assembled(tree):
    return Assembly(decode(with_names(tree), environ={"KEY": "sk-upstream"}, read_file=str))


def routes(tree):
    return {route.name: route for route in build_routes(assembled(tree), make_process(), {})}


class Upper(Plugin):
    pass


class Lower(Plugin):
    after = ("upper",)


class Alone(Plugin):
    single = True


class Sized(Section, frozen=True):
    size: int = 0


class Choosy(Plugin):
    RouteConfig = Sized


class Kept(Section, frozen=True):
    store: StoreName


class Placed(Plugin):
    Config = Kept
    RouteConfig = Sized


class Picky(Plugin):
    RouteConfig = Sized

    def check_options(self, options, parameters):
        if "id" not in parameters:
            raise ConfigError("size", f"{options.size} of {', '.join(sorted(parameters))}")


class Reversed:
    def __init__(self, pool: Pool, options: Sized) -> None:
        self.size = options.size

    def order(self, exchange, places):
        return tuple(reversed(places))


class Offering(Plugin):
    @hookimpl
    def register(self, registry):
        registry.strategy("reversed", Reversed, Sized)
        registry.public_route(["GET"], "/own", self.serve)

    async def serve(self, exchange):
        raise NotImplementedError


async def test_a_route_has_its_plugins_in_order_the_common_ones_first():
    tree = {
        "plugins": {"a": {"use": Upper}, "b": {"use": Upper}, "c": {"use": Upper}},
        "pipeline": ["c"],
        "upstreams": {"api": API},
        "routes": [{"name": "r", "upstream": "api", "plugins": ["b", "a"]}],
    }

    assert [plugin.name for plugin in routes(tree)["r"].pipeline.plugins] == ["c", "b", "a"]


async def test_a_plugin_of_the_pipeline_keeps_its_place_where_a_route_has_options_for_it():
    tree = {
        "plugins": {"a": {"use": Choosy}, "b": {"use": Upper}},
        "pipeline": [{"a": {"size": 1}}, "b"],
        "upstreams": {"api": API},
        "routes": [
            {"name": "usual", "match": {"path": "/u"}, "upstream": "api"},
            {"name": "own", "match": {"path": "/o"}, "upstream": "api", "plugins": [{"a": {"size": 2}}]},
        ],
    }
    made = routes(tree)

    assert [plugin.name for plugin in made["own"].pipeline.plugins] == ["a", "b"]
    assert made["own"].options["a"].size == 2
    assert made["usual"].options["a"].size == 1


async def test_a_plugin_may_ask_to_stand_below_another():
    tree = {"plugins": {"upper": {"use": Upper}, "lower": {"use": Lower}}, "upstreams": {"api": API}}
    right = {**tree, "routes": [{"name": "r", "upstream": "api", "plugins": ["upper", "lower"]}]}
    alone = {**tree, "routes": [{"name": "r", "upstream": "api", "plugins": ["lower"]}]}
    wrong = {**tree, "routes": [{"name": "r", "upstream": "api", "plugins": ["lower", "upper"]}]}

    assert routes(right)
    assert routes(alone)
    with pytest.raises(StartError, match="route 'r': plugin 'lower' must stand below 'upper'"):
        routes(wrong)


async def test_a_route_takes_one_instance_of_a_plugin_that_must_be_alone():
    plugins = {
        "one": {"use": Alone},
        "other": {"use": Alone},
        "upper": {"use": Upper},
        "more": {"use": Upper},
    }
    tree = {"plugins": plugins, "upstreams": {"api": API}}

    assert routes({**tree, "routes": [{"name": "r", "upstream": "api", "plugins": ["upper", "one", "more"]}]})
    with pytest.raises(StartError, match="route 'r': plugins 'one' and 'other' are of one kind, of which a"):
        routes({**tree, "routes": [{"name": "r", "upstream": "api", "plugins": ["one", "other"]}]})


async def test_a_strategy_is_named_by_the_route():
    tree = {"plugins": {"offering": {"use": Offering}}, "upstreams": {"api": API, "spare": API}}
    route = {"name": "r", "match": {"path": "/r"}, "targets": ["api", "spare"]}
    made = routes({**tree, "routes": [{**route, "strategy": {"reversed": {"size": 3}}}]})["r"]
    pool = made.defaults

    assert isinstance(pool, Pool)
    assert pool == (Endpoint("api"), Endpoint("spare"))
    assert [place.name for place in pool.strategy.order(None, pool.places)] == ["spare", "api"]
    assert pool.strategy.size == 3
    with pytest.raises(ConfigErrors, match="'best' is not known"):
        routes({**tree, "routes": [{**route, "strategy": "best"}]})


async def test_a_plugin_may_look_at_every_target_of_pools_and_routes():
    class Checking(Plugin):
        walks_pools = True

        @hookimpl
        def register(self, registry):
            registry.check_targets(self.check)

        def check(self, target):
            if target.when == "never":
                raise ConfigError("when", "is nonsense")

    tree = {
        "upstreams": {"api": API},
        "plugins": {"checking": {"use": Checking}},
        "pools": {"p": ["api", {"upstream": "api", "model": "m", "when": "never"}]},
        "routes": [{"name": "r", "targets": [{"upstream": "api", "when": "never"}]}],
    }

    with pytest.raises(ConfigErrors) as told:
        routes(tree)

    assert [str(error) for error in told.value.errors] == [
        "pools.p.targets[1].when: is nonsense",
        "routes.r.targets[0].when: is nonsense",
    ]


async def test_a_plugin_may_have_a_say_in_where_a_routes_requests_lead():
    class Picking(Plugin):
        RouteConfig = Sized
        walks_pools = True

        @hookimpl
        def register(self, registry):
            registry.choose_endpoints(self.choice)

        def choice(self, options, pools, make):
            if options.size == 13:
                raise ConfigError("size", "brings bad luck")
            return (lambda exchange, endpoints: pools["p"]) if options.size else None

    def tree(size):
        return {
            "upstreams": {"api": API},
            "plugins": {"picking": {"use": Picking}},
            "pools": {"p": ["api"]},
            "routes": [{"name": "r", "upstream": "api", "plugins": [{"picking": {"size": size}}]}],
        }

    assert routes(tree(0))["r"].choose is None
    assert routes(tree(1))["r"].choose(None, ()) == (Endpoint("api"),)
    with pytest.raises(ConfigErrors, match="size: brings bad luck"):
        routes(tree(13))


async def test_a_plugins_own_route_passes_the_common_pipeline():
    tree = {
        "plugins": {"offering": {"use": Offering}, "upper": {"use": Upper}},
        "pipeline": ["upper"],
        "routes": [],
    }
    made = routes(tree)["offering:/own"]

    assert made.handler is not None
    assert [plugin.name for plugin in made.pipeline.plugins] == ["upper"]


class Answering(Plugin):
    RouteConfig = Sized

    @hookimpl
    def register(self, registry):
        registry.answer_routes(self.answer, when=lambda options: options.size > 0)

    async def answer(self, exchange):
        raise NotImplementedError


async def test_a_plugin_answers_the_routes_that_want_it_to():
    tree = {"plugins": {"answering": {"use": Answering}, "upper": {"use": Upper}}, "upstreams": {"api": API}}
    own = {"name": "own", "match": {"path": "/own"}, "plugins": ["upper", {"answering": {"size": 1}}]}
    passed = {"name": "passed", "upstream": "api", "plugins": ["answering"]}
    made = routes({**tree, "routes": [own, passed]})

    assert made["own"].handler.__func__ is Answering.answer
    assert (made["own"].models, made["own"].face) == (None, None)
    assert [plugin.name for plugin in made["own"].pipeline.plugins] == ["upper", "answering"]
    assert made["passed"].handler is None


@pytest.mark.parametrize("end", [{"upstream": "api"}, {"targets": ["api"]}, {"models": {}}])
async def test_a_route_that_a_plugin_answers_leads_nowhere_else(end):
    tree = {"plugins": {"answering": {"use": Answering}}, "upstreams": {"api": API}}
    route = {"name": "r", "plugins": [{"answering": {"size": 1}}], **end}

    with pytest.raises(StartError, match="route 'r': plugin 'answering' answers it"):
        routes({**tree, "routes": [route]})


async def test_unknown_options_of_a_route_are_told_by_their_path():
    tree = {
        "plugins": {"upper": {"use": Upper}},
        "upstreams": {"api": API},
        "routes": [{"name": "r", "upstream": "api", "plugins": [{"upper": {"colour": "red"}}]}],
    }

    with pytest.raises(StartError, match=r"routes\.r\.plugins\.upper"):
        routes(tree)


async def test_a_key_in_the_wrong_one_of_a_plugins_two_places_is_told_where_it_belongs():
    tree = {"upstreams": {"api": API}, "plugins": {"placed": {"use": Placed, "size": 1}}}
    with pytest.raises(ConfigErrors) as told:
        routes(tree)
    assert "plugins.placed.size: unknown key" in str(told.value)
    assert "; routes have it: `plugins: [placed: {size: ...}]`" in str(told.value)

    tree["plugins"] = {"placed": {"use": Placed, "store": "memory"}}
    tree["stores"] = {"memory": "memory://"}
    tree["routes"] = [{"name": "a", "upstream": "api", "plugins": [{"placed": {"store": "memory"}}]}]
    with pytest.raises(ConfigErrors) as told:
        routes(tree)
    assert "routes.a.plugins.placed.store: unknown key" in str(told.value)
    assert str(told.value).endswith("; it holds for all routes: `plugins.placed.store`")


async def test_a_plugin_may_look_at_what_a_route_writes_for_its_path():
    tree = {"upstreams": {"api": API}, "plugins": {"picky": {"use": Picky}}}
    tree["routes"] = [
        {"name": "a", "match": {"path": "/a/{id}"}, "upstream": "api", "plugins": [{"picky": {"size": 1}}]},
        {"name": "b", "match": {"path": "/b/{at}/{rest...}"}, "upstream": "api"},
    ]
    assert routes(tree).keys() == {"a", "b"}
    tree["pipeline"] = [{"picky": {"size": 1}}]
    assert routes(tree)["b"].options["picky"].size == 1

    tree["routes"][1]["plugins"] = [{"picky": {"size": 2}}]
    with pytest.raises(ConfigErrors, match=r"^routes\.b\.plugins\.picky\.size: 2 of at, rest$"):
        routes(tree)


async def test_what_walks_pools_is_loaded_where_a_route_lists_it():
    tree = {"upstreams": {"api": API}}
    tree["routes"] = [{"name": "a", "upstream": "api", "plugins": [{"balance": {"retries": 1}}]}]

    assert [plugin.name for plugin in routes(tree)["a"].pipeline.plugins] == ["balance"]


async def test_a_model_route_reads_its_models_and_has_a_face():
    tree = {
        "upstreams": {"ai": AI, "api": API},
        "models": {"m": {"upstream": "ai"}},
        "routes": [
            {"name": "chat", "match": {"path": "/v1/*"}, "max_body": "1KiB", "timeouts": {"idle": "7s"}},
            {"name": "plain", "upstream": "api"},
        ],
    }
    made = routes(tree)

    assert (made["chat"].max_body, made["chat"].idle_timeout) == (1024, 7)
    assert made["chat"].face_of(ClientRequest("POST", "/v1/chat/completions", Headers())).wire == "openai"
    assert made["chat"].targets["ai"].timeouts.idle == 7
    assert (made["plain"].face, made["plain"].faces, made["plain"].models) == (None, None, None)


async def test_a_path_that_only_one_dialect_claims_decides_for_all_its_callers():
    tree = {
        "plugins": {"toy": {"use": ToyPlugin}},
        "upstreams": {"dots": {**AI, "dialect": "dots"}},
        "routes": [
            {"name": "one", "match": {"path": "/toy/ask"}, "upstream": "dots"},
            {"name": "any", "match": {"path": "/v9/*"}, "upstream": "dots"},
        ],
    }
    made = routes(tree)

    assert (made["one"].face.wire, made["one"].faces) == ("toy", None)
    assert made["any"].face_of(ClientRequest("POST", "/v9/toy/ask", Headers())).wire == "toy"
    assert made["any"].face_of(ClientRequest("POST", "/v9/other", Headers())) is None


async def test_where_nothing_tells_the_callers_dialect_it_is_the_upstreams_own():
    tree = {
        "upstreams": {"ai": AI},
        "routes": [{"name": "r", "match": {"path": "/odd/*"}, "upstream": "ai"}],
    }

    assert routes(tree)["r"].face_of(ClientRequest("POST", "/odd/call", Headers())).wire == "openai"


async def test_a_key_goes_to_its_upstream_only_and_is_shown_nowhere():
    tree = {"upstreams": {"ai": AI, "api": API}, "routes": []}
    assembly = assembled(tree)
    build_routes(assembly, make_process(), {})

    assert (b"Authorization", b"Bearer sk-upstream") in assembly.upstreams["ai"].fixed[0]
    assert (b"Accept-Encoding", b"identity") in assembly.upstreams["ai"].fixed[0]
    assert b"authorization" not in assembly.upstreams["api"].owned
    assert "sk-upstream" not in repr(assembly.upstreams["ai"]) + repr(assembly.config)
