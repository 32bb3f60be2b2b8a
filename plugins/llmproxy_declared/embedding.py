"""Texts that become vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmproxy.canonical import EmbedAnswer
from llmproxy.plugin import BadRequest, ConfigError
from llmproxy_declared.places import NOTHING, BadAnswer, Given, Place, kind_of
from llmproxy_declared.requests import CallConfig
from llmproxy_declared.sources import EACH_INPUT, EMBED, NO_PLACE, value_template
from llmproxy_declared.usage import UsageConfig, UsageReader

if TYPE_CHECKING:
    from llmproxy.canonical import EmbedRequest, Losses
    from llmproxy.plugin import Headers, Usage


class EmbedConfig(CallConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The call for embeddings; `each` is what one text becomes in `{inputs}`."""

    vectors: Given
    each: Any = "{input}"
    model: Given = ()
    usage: UsageConfig | None = None

    def __post_init__(self) -> None:
        _ = Embedding(self)


class Embedding:
    """Writes calls for embeddings and reads their answers."""

    def __init__(self, config: EmbedConfig) -> None:
        self.template = config.template(EMBED)
        self._each = value_template(config.each, "each", EACH_INPUT)
        self._vectors = Place(config.vectors, "vectors")
        self._model = Place(config.model, "model")
        self._usage = UsageReader(config.usage)
        self._used = self.template.sources | {each.source for each in self._each.references()}
        if not self.template.sources & {"inputs", "input"}:
            raise ConfigError("body", "holds neither {inputs} nor {input}: no text would be sent")

    def values(self, request: EmbedRequest, losses: Losses) -> dict[str, Any]:
        """Return what the template refers to.

        Raises:
            BadRequest: there are tokens instead of texts, or more texts than one call takes.
        """
        texts = [text for text in request.inputs if isinstance(text, str)]
        if len(texts) < len(request.inputs):
            raise BadRequest("not_supported_by_provider", "This model's provider takes texts, and no tokens.")
        if "inputs" not in self.template.sources and len(texts) != 1:
            raise BadRequest("not_supported_by_provider", "This model's provider takes one text at a time.")
        common: dict[str, Any] = {}
        for name in ("dimensions", "task", "title", "user"):
            value = getattr(request, name)
            if value and name in self._used:
                common[name] = value
            elif value:
                losses.lose(name, NO_PLACE)
        inputs = [self._each.fill({**common, "input": text}) for text in texts]
        return {**common, "inputs": inputs, "input": texts[0] if texts else ""}

    def read(self, document: Any, expected: int | None, headers: Headers | None = None) -> EmbedAnswer:
        """Read an answer with as many vectors as texts were sent.

        Raises:
            BadAnswer: it holds others.
        """
        found = self._vectors.find(document)
        if type(found) is not list:
            kind = "nothing" if found is NOTHING else kind_of(found)
            raise BadAnswer(
                f"The upstream's answer has {kind} at {self._vectors.text}, where vectors should stand."
            )
        vectors = [found] if found and type(found[0]) in (int, float) else found
        if expected is not None and len(vectors) != expected:
            raise BadAnswer(f"The upstream's answer has {len(vectors)} vectors for {expected} texts.")
        return EmbedAnswer(
            model=self._model.name_in(document),
            vectors=tuple(self._vector(vector) for vector in vectors),
            usage=self.usage_of(document, headers),
        )

    def usage_of(self, document: Any, headers: Headers | None = None) -> Usage | None:
        """Return what an answer says was used."""
        return self._usage.of(document, headers)

    def _vector(self, told: Any) -> tuple[float, ...]:
        if type(told) is list and told and all(type(number) in (int, float) for number in told):
            vector = tuple(map(float, told))
            if all(map(math.isfinite, vector)):
                return vector
        raise BadAnswer(f"The upstream's answer has no list of numbers at {self._vectors.text}.")
