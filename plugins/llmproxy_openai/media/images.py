"""Pictures: `images/generations` and `images/edits`, in the canonical form and out of it, both ways.

Sources: CreateImageRequest, CreateImageEditRequest and ImagesResponse of OpenAI's API; xAI's image API.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import orjson

from llmproxy.canonical import FileRef, Image, ImageAnswer, ImageRequest, Inline, Link, Picture, inline_of
from llmproxy.canonical.fields import objects, required_text, rest, text
from llmproxy.canonical.talks import shape_of
from llmproxy.plugin import BadField, Quirks
from llmproxy_openai.media.counts import write_media_usage
from llmproxy_openai.media.forms import Sent, flag_of, number_of
from llmproxy_openai.usage import read_usage

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

#: Members that go over one by one: the canonical field of each.
_WORDS: Final = {
    "size": "size",
    "aspect_ratio": "aspect",
    "resolution": "resolution",
    "quality": "quality",
    "background": "background",
    "style": "style",
    "moderation": "moderation",
    "output_format": "format",
}
_KNOWN: Final = frozenset(
    {"model", "prompt", "n", "output_compression", "seed", "negative_prompt", "response_format", "stream"}
    | {"partial_images", "user", "safety_identifier", "image", "images", "mask", *_WORDS}
)
#: A server of which nothing is known.
_USUAL: Final = Quirks()
_DATA_URL: Final = re.compile(r"data:([^;,]*);base64,")
#: Models that send data whether asked or not, and refuse to be asked how.
_SEND_DATA: Final = re.compile(r"(?:chat)?gpt-image|gpt-\d")
_TYPE_OF: Final = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}


def decode_images(sent: Sent, losses: Losses) -> ImageRequest:
    """Read a request; report what the canonical form cannot hold."""
    told = sent.members
    rest(told, _KNOWN, "", losses)
    wanted = text(told, "response_format")
    if wanted not in ("", "url", "b64_json"):
        raise BadField("invalid_value", "'response_format' must be 'url' or 'b64_json'.", "response_format")
    if number_of(told, "partial_images", whole=True):
        losses.add("partial_images", "a picture comes once it is whole")
    mask = sent.files.get("mask")
    return ImageRequest(
        model=text(told, "model"),
        prompt=required_text(told, "prompt"),
        images=tuple(_images(sent)),
        mask=Image(mask[0].inline()) if mask else _asked_mask(told),
        n=number_of(told, "n", whole=True),
        compression=number_of(told, "output_compression", whole=True),
        seed=number_of(told, "seed", whole=True),
        negative=text(told, "negative_prompt"),
        links=None if not wanted else wanted == "url",
        streamed=flag_of(told, "stream"),
        user=text(told, "safety_identifier") or text(told, "user"),
        **{field: text(told, key) for key, field in _WORDS.items()},
    )


def _images(sent: Sent) -> list[Image]:
    files = sent.files.get("image", [])
    if files:
        return [Image(file.inline()) for file in files]
    told = sent.members
    given = objects(told, "images") or objects({"image": _listed(told.get("image"))}, "image")
    return [_image(each) for each in given]


def _listed(value: Any) -> Any:
    return [value] if type(value) is dict else value


def _asked_mask(told: dict[str, Any]) -> Image | None:
    mask = told.get("mask")
    return _image(mask) if type(mask) is dict else None


def _image(told: dict[str, Any]) -> Image:
    """Read a picture as OpenAI has it in JSON (`image_url`, `file_id`), or as xAI does (`url`)."""
    if file_id := text(told, "file_id", "images[]."):
        return Image(FileRef(id=file_id, dialect="openai"))
    url = told.get("image_url", told.get("url"))
    if type(url) is dict:
        url = url.get("url")
    if type(url) is not str or not url:
        raise BadField("invalid_type", "'images[].image_url' must be a URL.", "images[].image_url")
    return Image(source_of(url))


def source_of(url: str) -> Inline | Link:
    """Return what a URL holds, or leads to."""
    found = _DATA_URL.match(url)
    return inline_of(url[found.end() :], found[1]) if found else Link(url=url)


def encode_images(
    request: ImageRequest, model: str, losses: Losses, quirks: Quirks = _USUAL
) -> tuple[str, dict[str, Any]]:
    """Write a request: its path, its body."""
    if "size" in quirks.refused and request.size:
        aspect, resolution = shape_of(request, losses)
        request = msgspec.structs.replace(request, size="", aspect=aspect, resolution=resolution)
    body: dict[str, Any] = {"model": model, "prompt": request.prompt}
    body |= {key: value for key, field in _WORDS.items() if (value := getattr(request, field))}
    numbers = {"n": request.n, "output_compression": request.compression, "seed": request.seed}
    body |= {key: number for key, number in numbers.items() if number is not None}
    if request.aspect and not request.size and "size" not in quirks.refused:
        body["size"] = _size(body.pop("aspect_ratio"), body.pop("resolution", ""))
        losses.lose("aspect", f"it is told as a size of {body['size']}")
    if request.negative:
        losses.lose("negative", "the provider is not told what to leave out")
    if request.user:
        body["user"] = request.user
    if not _SEND_DATA.match(model.rpartition("/")[2]):
        body["response_format"] = "url" if request.links else "b64_json"
    _refuse(body, quirks, losses)
    return _edited(request, body, losses, quirks.images) if request.images else ("/images/generations", body)


def _refuse(body: dict[str, Any], quirks: Quirks, losses: Losses) -> None:
    for key in body.keys() & set(quirks.refused):
        losses.lose(_WORDS.get(key, key), "the provider refuses it")
        del body[key]


def _edited(
    request: ImageRequest, body: dict[str, Any], losses: Losses, key: str
) -> tuple[str, dict[str, Any]]:
    body["images"] = [told for each in request.images if (told := _write_image(each, losses, key))]
    if request.mask is not None and (told := _write_image(request.mask, losses, key)):
        body["mask"] = told
    return "/images/edits", body


def _write_image(image: Image, losses: Losses, key: str) -> dict[str, Any] | None:
    source = image.source
    if isinstance(source, Inline):
        return {key: f"data:{source.media_type};base64,{source.data}"}
    if isinstance(source, Link):
        return {key: source.url}
    if source.dialect != "openai":
        losses.lose("images", "a picture that another provider keeps cannot be sent")
        return None
    return {"file_id": source.id}


#: What all of the models take that take no size at will.
_SIZES: Final = {"wide": "1536x1024", "square": "1024x1024", "tall": "1024x1536"}
_MEASURES: Final = {"": 1024, "1K": 1024, "2K": 2048, "4K": 3840}


def _size(aspect: str, resolution: str) -> str:
    """Return the nearest size that is taken: one of the usual three, or such of another resolution."""
    wide, _, high = aspect.partition(":")
    try:
        ratio = float(wide) / float(high)
    except (ValueError, ZeroDivisionError):
        return "auto"
    scale = _MEASURES.get(resolution.upper(), 1024)
    if scale == 1024:
        return _SIZES["square" if 0.8 <= ratio <= 1.25 else "wide" if ratio > 1 else "tall"]
    width, height = (scale, scale / ratio) if ratio >= 1 else (scale * ratio, scale)
    return f"{round(width / 16) * 16}x{round(height / 16) * 16}"


def read_images(body: dict[str, Any]) -> ImageAnswer:
    """Read an answer.

    Raises:
        ValueError: it holds no pictures.
    """
    items, usage, created = body["data"], body.get("usage"), body.get("created")
    told = body.get("output_format")
    kind = _TYPE_OF.get(told, "") if type(told) is str else ""
    return ImageAnswer(
        model=model if type(model := body.get("model")) is str else "",
        created=created if type(created) is int else 0,
        pictures=tuple(_picture(item, kind) for item in items),
        usage=read_usage(usage) if type(usage) is dict else None,
    )


def _picture(item: Any, kind: str) -> Picture:
    if type(item) is not dict:
        raise ValueError("a picture is an object")
    prompt = item.get("revised_prompt")
    told = prompt if type(prompt) is str else ""
    data, url = item.get("b64_json"), item.get("url")
    if type(data) is str and data:
        return Picture(inline_of(data, kind or "image/png"), told)
    if type(url) is not str or not url:
        raise ValueError("a picture has neither data nor a link")
    source = source_of(url)
    if isinstance(source, Link) and type(mime := item.get("mime_type")) is str:
        source = msgspec.structs.replace(source, media_type=mime)
    return Picture(source, told)


class Manner(NamedTuple):
    """How a caller wants its pictures: as links, in events, made or edited; and what it said of them."""

    links: bool = False
    streamed: bool = False
    edits: bool = False
    size: str = ""
    quality: str = ""
    background: str = ""


def write_images(answer: ImageAnswer, manner: Manner, now: int) -> dict[str, Any]:
    """Write an answer."""
    body: dict[str, Any] = {"created": answer.created or now}
    body["data"] = [_told(picture, manner) for picture in answer.pictures]
    if kinds := {_kind(picture) for picture in answer.pictures} - {""}:
        body["output_format"] = kinds.pop()
    if answer.usage is not None:
        body["usage"] = write_media_usage(answer.usage)
    return body


def _told(picture: Picture, manner: Manner) -> dict[str, Any]:
    source = picture.source
    if isinstance(source, Link):
        told = {"url": source.url}
    elif manner.links:
        # A link that holds the picture itself: there is no place where it could be fetched.
        told = {"url": f"data:{source.media_type};base64,{source.data}"}
    else:
        told = {"b64_json": source.data}
    return told | ({"revised_prompt": picture.prompt} if picture.prompt else {})


def _kind(picture: Picture) -> str:
    return picture.source.media_type.removeprefix("image/") if isinstance(picture.source, Inline) else ""


def write_image_events(answer: ImageAnswer, manner: Manner, now: int) -> bytes:
    """Write an answer as the events that were asked for: one for each picture, usage with the last."""
    kind = "image_edit.completed" if manner.edits else "image_generation.completed"
    events = []
    for at, picture in enumerate(answer.pictures, 1):
        event = {
            "type": kind,
            **_told(picture, manner),
            "created_at": answer.created or now,
            "size": manner.size or "auto",
            "quality": manner.quality or "auto",
            "background": manner.background or "auto",
            "output_format": _kind(picture) or "png",
        }
        if answer.usage is not None and at == len(answer.pictures):
            event["usage"] = write_media_usage(answer.usage)
        events.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(event)))
    return b"".join(events)
