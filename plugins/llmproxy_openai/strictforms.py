"""Whether a form can be read in one way only (RFC 7578, RFC 2046 §5.1).

Servers disagree on the rest: on the last of two parts of a name, on names in `name*=`, on lines that are folded or end
by LF alone. Whoever may ask for one model could name another where only the provider sees it.
"""

from __future__ import annotations

import re
from typing import Final

from llmproxy_openai.multipart import MOST_HEAD, MOST_PARTS

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
#: A text in quotes; a backslash before a quote is an escape to some and the end to others.
_QUOTED: Final = rb'"(?:[^"\\\x00-\x1f\x7f]|\\(?!"))*"'
_PLAIN: Final = rb'[^\s;,"\x00-\x1f\x7f]+'
_TYPE: Final = re.compile(
    rb"(?i)multipart/form-data(?:[ \t]*;[ \t]*%b=(?:%b|%b))+[ \t]*;?[ \t]*" % (_TOKEN, _QUOTED, _PLAIN)
)
_BOUNDARY: Final = re.compile(rb"(?i)boundary[ \t*0-9]*=")
#: What in another text could be taken for the parameter.
_LIKE_NAME: Final = re.compile(rb"(?i)[;\s]name=")
_PARAMETER: Final = re.compile(rb"[ \t]*;[ \t]*(%b)=(%b|%b)" % (_TOKEN, _QUOTED, _PLAIN))
_FIELD: Final = re.compile(rb"(%b):[ \t]*([^\r\n\x00]*)" % _TOKEN)
_DISPOSITION: Final = b"content-disposition"
_KIND: Final = b"form-data"
_NAMES: Final = frozenset({b"name", b"filename", b"filename*"})
#: Names that are acted on, and so must not be spelled in another way.
_ACTED_ON: Final = frozenset({b"model", b"stream"})


def is_plain_type(content_type: bytes) -> bool:
    """Say whether a content type names one boundary, and that in one way."""
    return _TYPE.fullmatch(content_type) is not None and len(_BOUNDARY.findall(content_type)) == 1


def is_plain_form(body: bytes, boundary: bytes) -> bool:
    """Say whether a form has whole parts, few enough, each with one plain name."""
    delimiter = b"--" + boundary
    at = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if at < 2 and not body.startswith(delimiter):
        return False
    count = body.count(delimiter)
    for number in range(1, min(count, MOST_PARTS + 1) + 1):
        after = at + len(delimiter)
        if body[after : after + 2] == b"--":
            return number == count
        end = body.find(b"\r\n" + delimiter, after)
        blank = body.find(b"\r\n\r\n", after, after + MOST_HEAD)
        if body[after : after + 2] != b"\r\n" or not after < blank < end:
            return False
        if not _is_plain_head(body[after + 2 : blank]):
            return False
        at = end + 2
    return False


def _is_plain_head(head: bytes) -> bool:
    if head.lower().count(_DISPOSITION) != 1:
        return False
    fields = [_FIELD.fullmatch(line) for line in head.split(b"\r\n")]
    told = [found[2] for found in fields if found is not None and found[1].lower() == _DISPOSITION]
    return None not in fields and len(told) == 1 and _is_plain_name(told[0].rstrip())


def _is_plain_name(disposition: bytes) -> bool:
    if disposition[: len(_KIND)].lower() != _KIND:
        return False
    at, names = len(_KIND), []
    while at < len(disposition):
        found = _PARAMETER.match(disposition, at)
        if found is None or found[1].lower() not in _NAMES:
            return False
        if found[1].lower() == b"name":
            names.append(found[2].strip(b'"'))
        elif _LIKE_NAME.search(found[2]) is not None:
            return False
        at = found.end()
    if len(names) != 1 or b"\\" in names[0]:
        return False
    plain = names[0].strip().lower()
    return plain not in _ACTED_ON or plain == names[0]
