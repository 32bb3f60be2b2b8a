"""Changes requests on their way to an upstream, and answers on their way back."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from llmproxy.plugin import (
    BadRequest,
    Exchange,
    GatewayError,
    JsonFault,
    Plugin,
    Reply,
    UpstreamRequest,
    hookimpl,
)
from llmproxy_rewrite.bodies import difference, put_body, reply_body, request_body
from llmproxy_rewrite.changes import changed
from llmproxy_rewrite.config import RewriteConfig, RewriteRoute
from llmproxy_rewrite.fields import edit_headers
from llmproxy_rewrite.foreseeing import foreseen
from llmproxy_rewrite.parameters import check_parameters
from llmproxy_rewrite.plan import Plan
from llmproxy_rewrite.pointers import Unfit
from llmproxy_rewrite.queries import edit_query
from llmproxy_rewrite.values import Values

#: Statuses of answers that have no body (RFC 9110 §15.3.5, §15.3.6).
_BODILESS = frozenset({204, 205})


class RewritePlugin(Plugin[RewriteConfig]):
    """Paths, queries, headers and JSON bodies, changed as a route declares."""

    Config = RewriteConfig
    prompt = True
    RouteConfig = RewriteRoute
    # What placeholders tell of the caller must be known.
    after = ("access",)

    def __init__(self, name: str, config: RewriteConfig) -> None:
        super().__init__(name, config)
        self._plans: dict[str, Plan] = {}

    def check_options(self, options: RewriteRoute, parameters: Collection[str]) -> None:
        """Refuse placeholders of parameters that the route's path does not have."""
        check_parameters(options, parameters)

    @hookimpl
    async def pre_route(self, exchange: Exchange) -> Reply | None:
        """Change the request's body; here, so that caches and the choice of a model see what is sent."""
        plan = self._plan(exchange)
        if not plan.body or exchange.upgraded:
            return None
        before = await request_body(exchange, self.config.max_body)
        if before is None:
            return None
        try:
            after = await changed(plan.body, before, Values(exchange))
        except (JsonFault, Unfit) as fault:
            raise BadRequest("body_not_rewritten", f"The request cannot be served: {fault}.") from None
        edit = difference(before, after)
        if edit is not None:
            await exchange.edit(edit)
        return None

    @hookimpl
    async def transform_request(self, exchange: Exchange, request: UpstreamRequest) -> None:
        """Change path, query and headers of an attempt; its route was chosen by the path as it came."""
        plan, values = self._plan(exchange), Values(exchange)
        if plan.changes_target:
            path, mark, query = request.target.partition("?")
            if plan.path is not None:
                path = plan.path.apply(path, values)
            if plan.query:
                query = edit_query(query, plan.query, values)
                mark = "?" if query else ""
            request.target = path + mark + query
        if plan.headers:
            edit_headers(request.headers, plan.headers, values)
        if plan.reply_body:
            # An answer that is changed must come whole and plain.
            request.headers.set("Accept-Encoding", "identity")
            request.headers.remove("range")
            request.headers.remove("if-range")

    @hookimpl
    async def transform_response(self, exchange: Exchange, reply: Reply) -> None:
        """Change an answer: from an upstream, out of a cache, or an error of the gateway."""
        plan = self._plan(exchange)
        if plan.reply_body and 200 <= reply.status < 300 and reply.status not in _BODILESS:
            await self._change_reply(exchange, reply, plan)
        if plan.reply_headers:
            # Too late to refuse anything: the upstream has done its work.
            edit_headers(reply.headers, plan.reply_headers, Values(exchange), lenient=True)
        for name, value in plan.told:
            reply.headers.add(name, value)

    def foresee(self, exchange: Exchange, body: bytes) -> Sequence[tuple[str, str]]:
        """Tell what would be changed, by the names that the route writes."""
        return foreseen(exchange.options(self))

    async def _change_reply(self, exchange: Exchange, reply: Reply, plan: Plan) -> None:
        if exchange.request.method == "HEAD":
            put_body(reply, b"", changed=True)
            return
        before = await reply_body(reply, self.config.max_body)
        try:
            after = await changed(plan.reply_body, before, Values(exchange))
        except (JsonFault, Unfit):
            message = "The upstream's answer is not of the shape that this route changes."
            raise GatewayError(502, "reply_not_rewritten", message) from None
        put_body(reply, after, changed=after != before)

    def _plan(self, exchange: Exchange) -> Plan:
        route = exchange.route
        plan = self._plans.get(route.name)
        if plan is None:
            plan = self._plans[route.name] = Plan(exchange.options(self), route.match.path)
        return plan
