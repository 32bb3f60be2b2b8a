"""What a call to one of the configured upstreams costs, for plugins that account for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmproxy.runtime import Clock

if TYPE_CHECKING:
    from llmproxy.canonical import GenerateRequest
    from llmproxy.exchange import Endpoint, Usage
    from llmproxy.providers.models import Catalogue, Model
    from llmproxy.providers.prices import Tiers


class Tariff:
    """Prices of calls; `providers` says whose each upstream is, where that is known.

    The catalogue of models is large. It is compiled in a thread when `load` is first awaited; until then nothing has a
    price.
    """

    def __init__(self, providers: Mapping[str, str], clock: Clock) -> None:
        self._providers = providers
        self._clock = clock
        self._catalogue: Catalogue | None = None

    async def load(self) -> None:
        """Read the catalogue, if an upstream of the configuration is a known provider's."""
        if self._providers and self._catalogue is None:
            from llmproxy.providers.models import load  # noqa: PLC0415  # large; few gateways ask

            self._catalogue = await load()

    def load_now(self) -> None:
        """Read it here and now, which takes a sixth of a second: not for where others wait."""
        if self._providers and self._catalogue is None:
            from llmproxy.providers.models import load_now  # noqa: PLC0415  # likewise

            self._catalogue = load_now()

    def price(self, endpoint: Endpoint, usage: Usage, asked: str | None = None) -> int | None:
        """Return what a call cost, in microdollars; None where that is not known.

        `asked` is the model's name in the caller's body, for an endpoint that leaves it as it is.
        """
        if not (tiers := self.tiers(endpoint, asked)):
            return None
        from llmproxy.providers.prices import price  # noqa: PLC0415  # likewise

        return price(usage, tiers)

    def tiers(self, endpoint: Endpoint, asked: str | None = None) -> Tiers:
        """Return the rates that hold there now; empty where they are not known."""
        model = self._model(endpoint, asked)
        return () if model is None else model.tiers(self._clock.wall())

    def window(self, endpoint: Endpoint, asked: str | None = None) -> int | None:
        """Return how many tokens the model there reads at most; None where that is not known."""
        model = self._model(endpoint, asked)
        return None if model is None else model.window

    def prompt_tokens(self, request: GenerateRequest) -> int:
        """Return about how many tokens a prompt has: quickly, from what its texts are made of."""
        from llmproxy.tokens import estimate_request  # noqa: PLC0415  # few gateways ask

        return estimate_request(request)

    def _model(self, endpoint: Endpoint, asked: str | None) -> Model | None:
        provider, name = self._providers.get(endpoint.upstream), endpoint.model or asked
        if self._catalogue is None or provider is None or not name:
            return None
        return self._catalogue.find(provider, name)
