"""What of a request decides its answer, in Cohere's dialect; `priority` buys speed, never another answer."""

from __future__ import annotations

import re
from typing import Any, Final

from llmproxy.plugin import KeyRules, Turns, rules_by_end

_NULL: Final[tuple[Any, ...]] = (None,)
_IGNORED: Final = frozenset({"model", "priority"})

CHAT: Final = KeyRules(
    kind="chat",
    form=frozenset({"stream"}),
    ignored=_IGNORED,
    defaults={
        **dict.fromkeys(("max_tokens", "seed", "tool_choice", "thinking", "citation_options"), _NULL),
        "documents": (None, []),
        "tools": (None, []),
        "stop_sequences": (None, []),
        "strict_tools": (None, False),
        "logprobs": (None, False),
        "safety_mode": (None, "CONTEXTUAL"),
        "response_format": (None, {"type": "text"}),
        "temperature": (None, 0.3),
        "frequency_penalty": (None, 0),
        "presence_penalty": (None, 0),
        "k": (None, 0),
        "p": (None, 0.75),
    },
    turns=Turns("messages"),
    text_types=frozenset({"text"}),
    references=(("image_url", "url"), ("image_url",)),
    whole=re.compile(rb'"finish_reason"\s*:\s*"'),
    flawed=re.compile(rb'"finish_reason"\s*:\s*"(?!(?:COMPLETE|STOP_SEQUENCE|TOOL_CALL)")'),
)

CHAT_V1: Final = KeyRules(
    kind="chat-v1",
    exact=True,
    form=frozenset({"stream"}),
    ignored=_IGNORED,
    grounds={"conversation_id": "state", "connectors": "hosted-tools"},
    whole=re.compile(rb'"finish_reason"\s*:\s*"'),
    flawed=re.compile(rb'"finish_reason"\s*:\s*"(?!(?:COMPLETE|STOP_SEQUENCE)")'),
)

EMBED: Final = KeyRules(
    kind="embeddings",
    deterministic=True,
    ignored=_IGNORED,
    defaults={
        "max_tokens": _NULL,
        "output_dimension": _NULL,
        "truncate": (None, "END"),
        "images": (None, []),
        "inputs": (None, []),
        "texts": (None, []),
    },
    texts=(("texts",),),
    whole=re.compile(rb'"embeddings"\s*:\s*[\[{]'),
)

RERANK: Final = KeyRules(
    kind="rerank",
    deterministic=True,
    ignored=_IGNORED,
    defaults={"top_n": _NULL, "max_tokens_per_doc": _NULL, "relevant_spans": _NULL},
    texts=(("query",),),
    whole=re.compile(rb'"results"\s*:\s*\['),
)

TOKENS: Final = KeyRules(
    kind="tokens",
    deterministic=True,
    exact=True,
    ignored=_IGNORED,
    whole=re.compile(rb'"(?:tokens|text)"\s*:'),
)

CLASSIFY: Final = KeyRules(
    kind="classifications",
    deterministic=True,
    ignored=_IGNORED,
    whole=re.compile(rb'"classifications"\s*:\s*\['),
)

#: By the end of the path.
rules_of: Final = rules_by_end(
    {
        "/v2/chat": CHAT,
        "/v1/chat": CHAT_V1,
        "/embed": EMBED,
        "/rerank": RERANK,
        "/tokenize": TOKENS,
        "/detokenize": TOKENS,
        "/classify": CLASSIFY,
    }
)
