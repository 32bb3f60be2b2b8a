"""Webhooks: events that somebody posts."""

from __future__ import annotations

from llmproxy.plugin import Clock, Exchange, GatewayError, Reply
from llmproxy_invalidation.config import Webhook
from llmproxy_invalidation.events import BadEvent, Reader
from llmproxy_invalidation.obeying import Obeying
from llmproxy_invalidation.signatures import check_bearer, check_signature, signing_key


class WebhookReceiver:
    """Receives the events of one webhook."""

    def __init__(self, webhook: Webhook, obeying: Obeying, clock: Clock) -> None:
        self._webhook = webhook
        self._obeying = obeying
        self._clock = clock
        self._reader = Reader(webhook.events, webhook.purges)
        self._tokens = [secret.reveal().encode() for secret in webhook.secrets]
        self._keys = [signing_key(secret.reveal()) for secret in webhook.secrets]

    async def receive(self, exchange: Exchange) -> Reply:
        """Answer a request: what was purged, or why nothing was.

        Raises:
            GatewayError: it is not signed rightly (401), too large (413), no event (422), or says no length (411).
        """
        headers = exchange.request.headers
        if self._webhook.auth == "bearer":
            check_bearer(headers, self._tokens)
        body = await self._body(exchange)
        if self._webhook.auth == "signature":
            check_signature(headers, body, self._keys, self._clock.wall(), self._webhook.tolerance)
        try:
            outcome = await self._obeying.obey(self._reader.read(body))
        except BadEvent as fault:
            self._obeying.refused(fault)
            raise GatewayError(422, "bad_event", f"Nothing was purged: {fault}.") from None
        if outcome is None:
            return Reply.json(
                {"purged": False, "reason": "No rule applies to this event, or nothing is cached."}
            )
        return outcome.reply()

    async def _body(self, exchange: Exchange) -> bytes:
        """Read the body; nobody is known yet, so it is measured first."""
        length = exchange.request.headers.get("content-length")
        if length is None:
            raise GatewayError(411, "length_required", "A webhook says the length of its body.")
        if not length.isdigit() or int(length) > self._webhook.max_body:
            message = f"The event is larger than {self._webhook.max_body} bytes."
            raise GatewayError(413, "body_too_large", message)
        return await exchange.body()
