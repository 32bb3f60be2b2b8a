"""What of a request decides its answer, in Ollama's dialect.

Options that place a model on its machine (threads, layers, batches) and how long it stays loaded cannot change what is
said; the window can, and counts. Defaults are a model's own, so nothing equals its absence but null.
"""

from __future__ import annotations

import re
from typing import Any, Final

from llmproxy.plugin import KeyRules, Turns
from llmproxy_ollama.paths import Call

_NULL: Final[tuple[Any, ...]] = (None,)
_COMMON: Final[dict[str, tuple[Any, ...]]] = {
    "format": (None, ""),
    "options": (None, {}),
    **dict.fromkeys(("think", "logprobs", "top_logprobs"), _NULL),
}
_OPTIONS: Final[dict[str, tuple[Any, ...]]] = {
    **dict.fromkeys(
        (
            "frequency_penalty",
            "min_p",
            "num_ctx",
            "num_keep",
            "num_predict",
            "presence_penalty",
            "repeat_last_n",
            "repeat_penalty",
            "seed",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
        ),
        _NULL,
    ),
    "stop": (None, []),
}
_PATHS: Final = frozenset({"model", "keep_alive"})
#: The last line, or all of an answer, says so.
_WHOLE: Final = re.compile(rb'"done"\s*:\s*true')
_FLAWED: Final = re.compile(rb'"done_reason"\s*:\s*"(?!stop")|[{,]\s*"error"\s*:\s*"')

CHAT: Final = KeyRules(
    kind="chat",
    form=frozenset({"stream"}),
    ignored=_PATHS,
    defaults={**_COMMON, "tools": (None, [])},
    inside={"options": _OPTIONS},
    turns=Turns("messages"),
    temperature=("options", "temperature"),
    whole=_WHOLE,
    flawed=_FLAWED,
)

GENERATE: Final = KeyRules(
    kind="generate",
    form=frozenset({"stream"}),
    ignored=_PATHS,
    defaults={
        **_COMMON,
        "context": (None, []),
        "images": (None, []),
        "raw": (None, False),
        "suffix": (None, ""),
        "system": (None, ""),
        "template": (None, ""),
    },
    inside={"options": _OPTIONS},
    texts=(("prompt",), ("system",)),
    temperature=("options", "temperature"),
    whole=_WHOLE,
    flawed=_FLAWED,
)

EMBED: Final = KeyRules(
    kind="embeddings",
    deterministic=True,
    ignored=_PATHS | {"stream"},
    defaults={"dimensions": _NULL, "options": (None, {}), "truncate": (None, True)},
    lone=frozenset({"input"}),
    texts=(("input",), ("prompt",)),
    whole=re.compile(rb'"embeddings?"\s*:\s*\['),
)

_RULES: Final[dict[Call, KeyRules]] = {
    "chat": CHAT,
    "generate": GENERATE,
    "embed": EMBED,
    "embeddings": EMBED,
}


def rules_of(call: Call) -> KeyRules | None:
    """Return a call's rules, or None where nothing is generated."""
    return _RULES.get(call)
