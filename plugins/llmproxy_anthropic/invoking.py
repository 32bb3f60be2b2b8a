"""What of a native invocation on Bedrock decides its answer: the same as of a message, told by other paths.

In a stream each event is in base64, in which a text looks in one of three ways, by the place that it stands at.
"""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Final

from llmproxy.plugin import KeyRules
from llmproxy_anthropic.keyrules import MESSAGES

_WHOLE: Final = tuple(
    b'"stop_reason":"%b"' % reason for reason in (b"end_turn", b"tool_use", b"stop_sequence")
)


def as_base64(text: bytes) -> list[bytes]:
    """Return how a text looks within base64, without the signs that its neighbours have a part in."""
    looks = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + text)
        whole = (before + len(text)) // 3 * 4
        looks.append(encoded[-(-before * 4 // 3) : whole])
    return looks


_IN_FRAMES: Final = b"|".join(re.escape(look) for text in _WHOLE for look in as_base64(text))

INVOKED: Final[KeyRules] = replace(
    MESSAGES,
    verbs=(),  # neither is told in the other's form
    whole=re.compile(rb'"stop_reason"\s*:\s*"|' + _IN_FRAMES),
    flawed=re.compile((MESSAGES.flawed.pattern if MESSAGES.flawed else b"") + rb"|:exception-type"),
)
