"""Where a file's bytes are: in the request, or in a bucket that only Amazon can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from llmproxy.canonical import FileRef, Inline, Source
from llmproxy_bedrock.thoughts import OWN
from llmproxy_bedrock.values import a_text, an_object, refuse, tell_rest, the_one

if TYPE_CHECKING:
    from llmproxy.canonical import Losses


def read_source(value: Any, media_type: str, where: str, losses: Losses | None) -> Source:
    """Read bytes, or a place in a bucket."""
    kind, told = the_one(an_object(value, where), where)
    if kind == "bytes":
        return Inline(media_type=media_type, data=a_text(told, f"{where}.bytes"))
    if kind == "s3Location":
        place = an_object(told, f"{where}.{kind}")
        tell_rest(place, ("uri",), f"{where}.{kind}", losses)
        uri = a_text(place.get("uri"), f"{where}.{kind}.uri")
        return FileRef(id=uri, dialect=OWN, media_type=media_type)
    refuse(where, "must hold bytes or s3Location")


def standard_base64(data: str) -> str:
    """Return base64 as Amazon takes it: other dialects' callers may use the alphabet of URLs, and leave off its end."""
    if "-" in data or "_" in data or len(data) % 4:
        data = data.translate(_STANDARD).rstrip("=")
        data += "=" * (-len(data) % 4)
    return data


_STANDARD: Final = str.maketrans("-_", "+/", "\r\n")


def write_source(source: Source) -> dict[str, Any] | None:
    """Write where bytes are; None where Amazon cannot get at them."""
    if isinstance(source, Inline):
        return {"bytes": standard_base64(source.data)}
    uri = source.id if isinstance(source, FileRef) and source.dialect == OWN else getattr(source, "url", "")
    return {"s3Location": {"uri": uri}} if uri.startswith("s3://") else None
