"""Documents that are put in order by how well they answer a query."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmproxy.canonical import Ranked, RerankAnswer
from llmproxy.plugin import ConfigError
from llmproxy_declared.places import BadAnswer, Given, Place, kind_of
from llmproxy_declared.requests import CallConfig
from llmproxy_declared.sources import NO_PLACE, RERANK
from llmproxy_declared.usage import UsageConfig, UsageReader

if TYPE_CHECKING:
    from llmproxy.canonical import Losses, RerankRequest
    from llmproxy.plugin import Headers, Usage


class RerankConfig(CallConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The call for rankings; `results` is a list of objects with `index` and `score`, or of scores in order."""

    results: Given = ""
    index: Given = "/index"
    score: Given = ("/score", "/relevance_score")
    id: Given = ()
    model: Given = ()
    usage: UsageConfig | None = None

    def __post_init__(self) -> None:
        _ = Ranking(self)


class Ranking:
    """Writes calls for rankings and reads their answers."""

    def __init__(self, config: RerankConfig) -> None:
        self.template = config.template(RERANK)
        if not self.template.sources >= {"query", "documents"}:
            raise ConfigError("body", "holds not both of {query} and {documents}: nothing could be ranked")
        self._results = Place(config.results, "results")
        self._index = Place(config.index, "index")
        self._score = Place(config.score, "score")
        self._id = Place(config.id, "id")
        self._model = Place(config.model, "model")
        self._usage = UsageReader(config.usage)

    def values(self, request: RerankRequest, losses: Losses) -> dict[str, Any]:
        """Return what the template refers to; of more results than were asked for, the best are told."""
        values: dict[str, Any] = {"query": request.query, "documents": list(request.documents)}
        if request.top_n is not None:
            values["top_n"] = request.top_n
        for name in ("document_tokens", "truncate", "user"):
            value = getattr(request, name)
            if value is not None and value != "" and name in self.template.sources:
                values[name] = value
            elif value is not None and value != "":
                losses.lose(name, NO_PLACE)
        return values

    def read(self, document: Any, request: RerankRequest, headers: Headers | None = None) -> RerankAnswer:
        """Read an answer.

        Raises:
            BadAnswer: it ranks no documents, or others than were sent.
        """
        found = self._results.find(document)
        if type(found) is not list:
            raise BadAnswer(f"The upstream's answer has {_kind(found)} at {self._results.text}, not results.")
        results = [self._ranked(told, place) for place, told in enumerate(found)]
        numbers = {result.index for result in results}
        if len(numbers) < len(results) or not numbers <= set(range(len(request.documents))):
            raise BadAnswer("The upstream's answer ranks documents twice, or such as were not sent.")
        results.sort(key=lambda result: -result.score)
        return RerankAnswer(
            id=self._id.name_in(document),
            model=self._model.name_in(document),
            results=tuple(results[: request.top_n]),
            usage=self.usage_of(document, headers),
        )

    def usage_of(self, document: Any, headers: Headers | None = None) -> Usage | None:
        """Return what an answer says was used."""
        return self._usage.of(document, headers)

    def _ranked(self, told: Any, place: int) -> Ranked:
        if type(told) in (int, float):
            return Ranked(index=place, score=_finite(told))
        index, score = self._index.find(told), self._score.find(told)
        if type(index) is not int or type(score) not in (int, float):
            raise BadAnswer(
                f"The upstream's answer has a result without {self._index.text} or {self._score.text}."
            )
        return Ranked(index=index, score=_finite(score))


def _finite(score: float) -> float:
    if not math.isfinite(score):
        raise BadAnswer("The upstream's answer has a score that is no number.")
    return float(score)


def _kind(found: Any) -> str:
    return kind_of(found) if isinstance(found, dict | str | int | float) else "nothing"
