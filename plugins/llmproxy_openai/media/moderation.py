"""Moderation: texts and pictures judged, in the canonical form and out of it, both ways.

Sources: CreateModerationRequest and its answer of OpenAI's API; ModerationResponse of Mistral's, which flags nothing as
a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import Image, Inline, ModerationAnswer, ModerationRequest, Text, Verdict
from llmproxy.canonical.fields import rest, text, wrong
from llmproxy_openai.media.images import source_of
from llmproxy_openai.usage import read_usage

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

_KNOWN: Final = frozenset({"model", "input"})
_WHAT: Final = "a text, a list of texts, or a list of parts"


def decode_moderation(told: dict[str, Any], losses: Losses) -> ModerationRequest:
    """Read a request; report what the canonical form cannot hold."""
    rest(told, _KNOWN, "", losses)
    given = told.get("input")
    if type(given) is str:
        inputs: tuple[tuple[Text | Image, ...], ...] = ((Text(given),),)
    elif type(given) is list and given and all(type(each) is dict for each in given):
        inputs = (tuple(_part(each) for each in given),)
    elif type(given) is list and given and all(type(each) is str for each in given):
        inputs = tuple((Text(each),) for each in given)
    else:
        raise wrong("input", _WHAT)
    return ModerationRequest(model=text(told, "model"), inputs=inputs)


def _part(told: dict[str, Any]) -> Text | Image:
    if told.get("type") == "text":
        return Text(text(told, "text", "input[]."))
    url = told.get("image_url")
    url = url.get("url") if type(url) is dict else url
    if told.get("type") != "image_url" or type(url) is not str or not url:
        raise wrong("input", _WHAT)
    return Image(source_of(url))


def encode_moderation(request: ModerationRequest, model: str, losses: Losses) -> dict[str, Any]:
    """Write a request; several inputs can be texts alone."""
    if len(request.inputs) == 1 and (len(request.inputs[0]) > 1 or isinstance(request.inputs[0][0], Image)):
        return {"model": model, "input": [_written(part) for part in request.inputs[0]]}
    texts = [[part.text for part in each if isinstance(part, Text)] for each in request.inputs]
    if any(len(each) > len(found) for each, found in zip(request.inputs, texts, strict=True)):
        losses.lose("inputs", "pictures can be judged with one input only")
    joined = ["\n".join(each) for each in texts]
    return {"model": model, "input": joined[0] if len(joined) == 1 else joined}


def _written(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    source = part.source
    url = f"data:{source.media_type};base64,{source.data}" if isinstance(source, Inline) else ""
    return {"type": "image_url", "image_url": {"url": url or getattr(source, "url", "")}}


def read_moderation(told: dict[str, Any]) -> ModerationAnswer:
    """Read an answer.

    Raises:
        ValueError: it holds no verdicts.
    """
    usage = told.get("usage")
    return ModerationAnswer(
        id=name if type(name := told.get("id")) is str else "",
        model=model if type(model := told.get("model")) is str else "",
        verdicts=tuple(_verdict(each) for each in told["results"]),
        usage=read_usage(usage) if type(usage) is dict else None,
    )


def _verdict(told: Any) -> Verdict:
    categories, scores = told["categories"], told["category_scores"]
    if type(categories) is not dict or type(scores) is not dict:
        raise ValueError("a verdict has no categories")
    flagged = told.get("flagged")
    return Verdict(
        flagged=flagged if type(flagged) is bool else any(categories.values()),
        categories={name: bool(found) for name, found in categories.items()},
        scores={name: float(found) for name, found in scores.items()},
    )


def write_moderation(answer: ModerationAnswer, model: str, name: str) -> dict[str, Any]:
    """Write an answer; `model` and `name` stand in where none is told."""
    results = [
        {"flagged": each.flagged, "categories": each.categories, "category_scores": each.scores}
        for each in answer.verdicts
    ]
    return {"id": answer.id or name, "model": answer.model or model, "results": results}
