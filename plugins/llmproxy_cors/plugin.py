"""Answers preflights, and says on every answer which pages may read it."""

from __future__ import annotations

from llmproxy.plugin import Exchange, GatewayError, Headers, Plugin, Reply, hookimpl
from llmproxy_cors.config import CorsConfig, CorsRoute
from llmproxy_cors.policy import OWNED, Policy, add_vary

_PREFLIGHT_VARY = ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers")


class CorsPlugin(Plugin[CorsConfig]):
    """Cross-origin resource sharing at the gateway."""

    Config = CorsConfig
    prompt = True
    RouteConfig = CorsRoute
    answers_preflights = True

    def __init__(self, name: str, config: CorsConfig) -> None:
        super().__init__(name, config)
        self._policies: dict[str, Policy] = {}

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Answer a preflight; refuse pages of other origins where the policy says so."""
        request = exchange.request
        headers = request.headers
        policy = self._policy(exchange)
        if exchange.route.keepalive is not None:
            said = Headers()
            self._say(said, exchange, policy)
            exchange.heralds += tuple(said.raw)
        if not headers.has(b"origin"):
            return None
        origin = policy.origin_of(headers)
        taken = bool(origin) and policy.takes(origin or "")
        if request.method == "OPTIONS" and headers.has(b"access-control-request-method"):
            return self._answer(policy, origin or "", exchange, taken=taken)
        if not taken and policy.refuses:
            raise _refusal()
        return None

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Say who may read an answer, in place of whatever the upstream said of it."""
        headers = reply.headers
        for owned in OWNED & headers.index.keys():
            headers.remove(owned)
        self._say(headers, exchange, self._policy(exchange))

    def _say(self, headers: Headers, exchange: Exchange, policy: Policy) -> None:
        if not policy.same_for_all:
            # On answers to requests without an origin too: a cache would give them to pages.
            add_vary(headers, "Origin")
        origin = policy.origin_of(exchange.request.headers)
        if origin and policy.takes(origin):
            for name, value in policy.grant(origin):
                headers.set(name, value)

    def _answer(self, policy: Policy, origin: str, exchange: Exchange, *, taken: bool) -> Reply:
        if not taken:
            raise _refusal()
        reply = Reply(204)
        for name, value in policy.permit(origin, exchange.request.headers):
            reply.headers.set(name, value)
        add_vary(reply.headers, *_PREFLIGHT_VARY)
        return reply

    def _policy(self, exchange: Exchange) -> Policy:
        route = exchange.route
        policy = self._policies.get(route.name)
        if policy is None:
            own: CorsRoute = exchange.options(self)
            config = self.config if own == CorsRoute() else own
            policy = self._policies[route.name] = Policy(config, route.match.methods)
        return policy


def _refusal() -> GatewayError:
    return GatewayError(403, "origin_not_allowed", "Pages of this origin may not use this route.")
