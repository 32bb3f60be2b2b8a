"""Imagen's `predict`, both ways: pictures made from a text, or from a text and other pictures.

Sources: the Imagen API of Vertex AI and of the Gemini API (instances, parameters, predictions).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from llmproxy.canonical import Image, ImageAnswer, ImageRequest, Inline, Link, Losses, Picture, inline_of
from llmproxy.canonical.talks import shape_of
from llmproxy.plugin import BadField, BadRequest, ProviderError, UpstreamError
from llmproxy_gemini.fields import integer, items, lose_rest, members, unreadable, word
from llmproxy_gemini.media import standard

_PARAMETERS: Final = "parameters"
_KNOWN: Final = frozenset(
    {"sampleCount", "aspectRatio", "sampleImageSize", "imageSize", "negativePrompt", "seed"}
)
_REFERENCE: Final = "instances[].referenceImages[]"
_MASK: Final = "REFERENCE_TYPE_MASK"
#: The shapes that Imagen draws.
_SHAPES: Final = ("1:1", "3:4", "4:3", "9:16", "16:9")
_UNTOLD: Final = ("quality", "background", "style", "moderation", "user")
_FORMATS: Final = {"png": "image/png", "jpeg": "image/jpeg"}
#: Models that are asked for pictures by this call.
_PREFIX: Final = "imagen"


def predicts(model: str) -> bool:
    """Say whether a model makes pictures by this call, and not in a conversation."""
    return model.rpartition("/")[2].startswith(_PREFIX)


def read_predict(model: str, told: dict[str, Any], losses: Losses) -> ImageRequest:
    """Read a request.

    Raises:
        BadRequest: it is broken, or predicts something else.
    """
    lose_rest(told, frozenset({"instances", _PARAMETERS}), "", losses)
    instances = items(told.get("instances"), "instances")
    if len(instances) != 1 or not isinstance(instances[0], dict) or "prompt" not in instances[0]:
        raise BadRequest(
            "not_translatable", "Only pictures can be predicted by another provider, of one prompt."
        )
    instance = members(instances[0], "instances[]")
    lose_rest(instance, frozenset({"prompt", "referenceImages", "image"}), "instances[]", losses)
    settings = members(told.get(_PARAMETERS) or {}, _PARAMETERS)
    lose_rest(settings, _KNOWN | {"outputOptions"}, _PARAMETERS, losses)
    output = members(settings.get("outputOptions") or {}, "parameters.outputOptions")
    images, mask = _references(instance, losses)
    return ImageRequest(
        model=model,
        prompt=word(instance, "prompt", "instances[]"),
        images=images,
        mask=mask,
        n=_whole(settings, "sampleCount"),
        aspect=word(settings, "aspectRatio", _PARAMETERS),
        resolution=word(settings, "sampleImageSize", _PARAMETERS) or word(settings, "imageSize", _PARAMETERS),
        negative=word(settings, "negativePrompt", _PARAMETERS),
        seed=_whole(settings, "seed"),
        format=word(output, "mimeType", "parameters.outputOptions").removeprefix("image/"),
        compression=_whole(output, "compressionQuality"),
        links=False,
    )


def _whole(told: dict[str, Any], key: str) -> int | None:
    return integer(told[key], f"{_PARAMETERS}.{key}") if key in told else None


def _references(instance: dict[str, Any], losses: Losses) -> tuple[tuple[Image, ...], Image | None]:
    images, mask = [], None
    if "image" in instance:
        images.append(_image(instance["image"], "instances[].image"))
    for each in items(instance.get("referenceImages"), "instances[].referenceImages"):
        told = members(each, _REFERENCE)
        image = told.get("referenceImage")
        kind = word(told, "referenceType", _REFERENCE)
        if kind == _MASK and image is not None:
            mask = _image(image, f"{_REFERENCE}.referenceImage")
        elif image is not None and kind in ("", "REFERENCE_TYPE_RAW"):
            images.append(_image(image, f"{_REFERENCE}.referenceImage"))
        else:
            losses.add(_REFERENCE, "other providers take pictures and a mask alone")
    return tuple(images), mask


def _image(value: object, where: str) -> Image:
    told = members(value, where)
    data = word(told, "bytesBase64Encoded", where)
    if not data:
        raise BadField("missing_field", f"'{where}.bytesBase64Encoded' must be there.", where)
    return Image(source=inline_of(standard(data), word(told, "mimeType", where)))


def write_predict(request: ImageRequest, losses: Losses) -> dict[str, Any]:
    """Return the body of a call."""
    for name in _UNTOLD:
        if getattr(request, name):
            losses.lose(name, "Imagen is not told of it")
    aspect, resolution = shape_of(request, losses, _SHAPES)
    settings: dict[str, Any] = {"sampleCount": request.n or 1}
    told = {
        "aspectRatio": aspect,
        "sampleImageSize": "2K" if resolution == "4K" else resolution,
        "negativePrompt": request.negative,
        "seed": request.seed,
    }
    settings |= {key: value for key, value in told.items() if value not in ("", None)}
    if options := _output(request, losses):
        settings["outputOptions"] = options
    instance: dict[str, Any] = {"prompt": request.prompt}
    if request.images:
        instance["referenceImages"] = list(_written_references(request))
        settings["editMode"] = "EDIT_MODE_DEFAULT" if request.mask is None else "EDIT_MODE_INPAINT_INSERTION"
    return {"instances": [instance], _PARAMETERS: settings}


def _output(request: ImageRequest, losses: Losses) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if request.format and request.format not in _FORMATS:
        losses.lose("format", "Imagen makes PNG and JPEG")
    elif request.format:
        options["mimeType"] = _FORMATS[request.format]
    if request.compression is not None and request.format == "jpeg":
        options["compressionQuality"] = request.compression
    elif request.compression is not None:
        losses.lose("compression", "only JPEG has a quality")
    return options


def _written_references(request: ImageRequest) -> Iterable[dict[str, Any]]:
    masked = () if request.mask is None else ((request.mask, _MASK),)
    pictures = (*((each, "REFERENCE_TYPE_RAW") for each in request.images), *masked)
    for number, (image, kind) in enumerate(pictures, 1):
        source = image.source
        if not isinstance(source, Inline):
            raise BadRequest("not_translatable", "Imagen takes pictures as bytes, not what refers to them.")
        told: dict[str, Any] = {
            "referenceType": kind,
            "referenceId": number,
            "referenceImage": {"bytesBase64Encoded": source.data, "mimeType": source.media_type},
        }
        if kind == _MASK:
            told["maskImageConfig"] = {"maskMode": "MASK_MODE_USER_PROVIDED"}
        yield told


def read_predictions(told: dict[str, Any]) -> ImageAnswer:
    """Read an answer.

    Raises:
        ProviderError: all pictures were held back.
        ValueError: it holds none.
    """
    found = told.get("predictions")
    if found is None:
        found = []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise unreadable("the predictions are no list of objects")
    pictures = tuple(picture for each in found if (picture := _picture(each)) is not None)
    if not pictures:
        reasons = [why for each in found if isinstance(why := each.get("raiFilteredReason"), str)]
        why = reasons[0] if reasons else "The provider held all pictures back."
        raise ProviderError(400, "content_policy_violation", why, kind="invalid_request")
    return ImageAnswer(pictures=pictures)


def _picture(told: dict[str, Any]) -> Picture | None:
    data, uri, prompt = told.get("bytesBase64Encoded"), told.get("gcsUri"), told.get("prompt")
    kind = told.get("mimeType")
    media_type, revised = kind if isinstance(kind, str) else "", prompt if isinstance(prompt, str) else ""
    if isinstance(data, str) and data:
        return Picture(source=inline_of(data, media_type or "image/png"), prompt=revised)
    if isinstance(uri, str) and uri:
        return Picture(source=Link(url=uri, media_type=media_type), prompt=revised)
    return None


def write_predictions(answer: ImageAnswer) -> dict[str, Any]:
    """Return the object that Google's SDKs read.

    Raises:
        UpstreamError: the provider answered with a link to a picture, for which there is no place.
    """
    return {"predictions": [_prediction(each) for each in answer.pictures]}


def _prediction(picture: Picture) -> dict[str, Any]:
    source = picture.source
    if isinstance(source, Link):
        message = "The provider answered with a link to a picture, and a prediction holds its bytes."
        raise UpstreamError("upstream_bad_answer", message, phase="body", sent=True)
    told = {"mimeType": source.media_type, "bytesBase64Encoded": source.data}
    return told | ({"prompt": picture.prompt} if picture.prompt else {})
