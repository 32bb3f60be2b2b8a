"""What of a request decides its answer, in OpenAI's dialect.

Fields and defaults are those of OpenAI's own API, defaults only where other servers of the dialect share them or where
they matter to sampled answers alone; `service_tier` and what steers the prompt cache buy speed and price,
never another answer. Responses repeat the caller's own marks in their answer, so there they count.
"""

from __future__ import annotations

import re
from typing import Any, Final

from llmproxy.plugin import Ground, KeyRules, Turns, rules_by_end

_HEADERS: Final = dict.fromkeys(("openai-beta", "openai-organization", "openai-project"), "")
_PRICE: Final = frozenset(
    {"model", "service_tier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
)
_MARKS: Final = frozenset({"cache_control", "prompt_cache_breakpoint"})
_USERS: Final = (("safety_identifier",), ("user",))
_USER_FIELDS: Final = frozenset({"safety_identifier", "user"})
_NULL: Final[tuple[Any, ...]] = (None,)

#: Tools whose calls the caller answers; all others run at the provider, or were not known when this was written.
_OWN_TOOLS: Final = frozenset({"function", "custom"})

#: How an answer must end to be kept: of itself, or with calls of the caller's tools; "eos" is what some servers say.
_WHOLE: Final = re.compile(rb'"finish_reason"\s*:\s*"')
_FLAWED: Final = re.compile(
    rb'"finish_reason"\s*:\s*"(?!(?:stop|tool_calls|function_call|eos)")'
    rb'|"refusal"\s*:\s*"[^"]|"(?:filtered|flagged)"\s*:\s*true|"error"\s*:\s*[{"]|"object"\s*:\s*"error"'
    rb"|(?:\A|[\r\n])event: ?error"
)

_UNFINISHED: Final = re.compile(rb'"finish_reason"\s*:\s*null')
#: What stands at the end of a stream that nothing cut.
_ENDING: Final = b"data: [DONE]"

#: Fields that have the web searched, with OpenAI and with other sellers of its dialect.
_SEARCHES: Final[dict[str, Ground]] = dict.fromkeys(
    ("web_search_options", "search_parameters", "search_settings", "enable_search", "web_search", "plugins"),
    "hosted-tools",
)

_SAMPLING: Final[dict[str, tuple[Any, ...]]] = {
    "n": (None, 1),
    "temperature": (None, 1),
    "top_p": (None, 1),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
    "stop": (None, []),
    "seed": _NULL,
}


def hosted(tool: Any) -> bool:
    """Say whether the provider runs a tool."""
    return not isinstance(tool, dict) or tool.get("type") not in _OWN_TOOLS


CHAT: Final = KeyRules(
    kind="chat",
    form=frozenset({"stream", "stream_options"}),
    ignored=_PRICE | _USER_FIELDS | {"metadata"},
    defaults={
        **_SAMPLING,
        **dict.fromkeys(
            ("max_tokens", "max_completion_tokens", "audio", "prediction", "reasoning_effort", "verbosity"),
            _NULL,
        ),
        "logprobs": (None, False),
        "top_logprobs": (None, 0),
        "modalities": (None, ["text"]),
        "moderation": _NULL,
        "parallel_tool_calls": (None, True),
        "response_format": (None, {"type": "text"}),
        "store": (None, False),
        "tools": (None, []),
        "tool_choice": (None, "auto"),
        "functions": (None, []),
        "function_call": _NULL,
        "web_search_options": _NULL,
    },
    lone=frozenset({"stop"}),
    turns=Turns("messages", references=(("audio", "id"),)),
    text_types=frozenset({"text"}),
    marks=_MARKS,
    users=_USERS,
    grounds={"store": "stored", "audio": "references", **_SEARCHES},
    hosted=hosted,
    references=(
        ("image_url", "url"),
        ("image_url",),
        ("file", "file_id"),
        ("file_id",),
        ("file_url",),
        ("video_url", "url"),
        ("audio_url", "url"),
    ),
    headers=_HEADERS,
    whole=_WHOLE,
    flawed=_FLAWED,
    ending=_ENDING,
    unfinished=_UNFINISHED,
)

COMPLETIONS: Final = KeyRules(
    kind="completions",
    exact=True,
    form=CHAT.form,
    ignored=_PRICE | _USER_FIELDS,
    defaults={
        **_SAMPLING,
        "best_of": (None, 1),
        "echo": (None, False),
        "logprobs": _NULL,
        "max_tokens": _NULL,
        "suffix": _NULL,
    },
    lone=frozenset({"stop", "prompt"}),
    texts=(("prompt",),),
    users=_USERS,
    headers=_HEADERS,
    whole=_WHOLE,
    flawed=_FLAWED,
    ending=_ENDING,
    unfinished=_UNFINISHED,
)

#: What makes one response depend on another, or on what is kept at the provider.
_KEPT: Final[dict[str, Ground]] = {
    "background": "background",
    "conversation": "state",
    "previous_response_id": "references",
    "prompt": "references",
}

RESPONSES: Final = KeyRules(
    kind="responses",
    form=frozenset({"stream", "stream_options"}),
    ignored=frozenset({"model", "service_tier", "prompt_cache_options", "prompt_cache_retention"}),
    defaults={
        **dict.fromkeys(
            (
                "background_options",
                "context_management",
                "conversation",
                "instructions",
                "max_output_tokens",
                "max_tool_calls",
                "moderation",
                "previous_response_id",
                "prompt",
                "prompt_cache_key",
                "safety_identifier",
                "user",
            ),
            _NULL,
        ),
        "background": (None, False),
        "include": (None, []),
        "metadata": (None, {}),
        "parallel_tool_calls": (None, True),
        "reasoning": (None, {}),
        "store": (None, True),
        "temperature": (None, 1),
        "text": (None, {}, {"format": {"type": "text"}}),
        "tools": (None, []),
        "tool_choice": (None, "auto"),
        "top_logprobs": (None, 0),
        "top_p": (None, 1),
        "truncation": (None, "disabled"),
    },
    texts=(("instructions",),),
    turns=Turns("input", defaults={"type": "message"}, lone="user", further=("output",)),
    text_types=frozenset({"input_text"}),
    marks=_MARKS,
    users=_USERS,
    grounds=_KEPT,
    hosted=hosted,
    references=(("image_url",), ("file_id",), ("file_url",)),
    referring_turns=frozenset({"item_reference", "image_generation_call", None}),
    headers=_HEADERS,
    whole=re.compile(rb'"status"\s*:\s*"completed"'),
    flawed=re.compile(
        rb'"status"\s*:\s*"(?:incomplete|failed|cancelled|queued)"'
        rb'|"type"\s*:\s*"(?:refusal|error|response\.(?:incomplete|failed|refusal\.\w+))"|"flagged"\s*:\s*true'
    ),
)

COUNT: Final = KeyRules(
    kind="count",
    deterministic=True,
    exact=True,
    ignored=frozenset({"model"}),
    turns=RESPONSES.turns,
    text_types=RESPONSES.text_types,
    grounds=_KEPT,
    references=RESPONSES.references,
    referring_turns=RESPONSES.referring_turns,
    headers=_HEADERS,
    whole=re.compile(rb'"input_tokens"\s*:\s*\d'),
)

EMBEDDINGS: Final = KeyRules(
    kind="embeddings",
    deterministic=True,
    ignored=_PRICE | _USER_FIELDS,
    form=frozenset({"encoding_format"}),
    defaults={"dimensions": _NULL},
    lone=frozenset({"input"}),
    texts=(("input",),),
    users=_USERS,
    headers=_HEADERS,
    whole=re.compile(rb'"embedding"\s*:\s*["\[]'),
)

MODERATIONS: Final = KeyRules(
    kind="moderations",
    deterministic=True,
    ignored=frozenset({"model"}),
    lone=frozenset({"input"}),
    texts=(("input",),),
    references=(("image_url", "url"),),
    headers=_HEADERS,
    whole=re.compile(rb'"results"\s*:\s*\['),
)

#: Judgements of texts, as servers of open models and sellers of ranking offer them beside OpenAI's own calls.
JUDGEMENTS: Final = KeyRules(
    kind="judgements",
    deterministic=True,
    ignored=_USER_FIELDS | {"model"},
    texts=(("query",), ("documents",), ("input",), ("text_1",), ("text_2",)),
    users=_USERS,
    headers=_HEADERS,
)

IMAGES: Final = KeyRules(
    kind="images",
    form=frozenset({"stream", "partial_images"}),
    ignored=_USER_FIELDS | {"model"},
    defaults={"n": (None, 1)},
    texts=(("prompt",),),
    users=_USERS,
    headers=_HEADERS,
    flawed=re.compile(rb'"url"\s*:\s*"http'),  # a link that ends within the hour
    whole=re.compile(rb'"data"\s*:\s*\[|"type"\s*:\s*"image_generation\.completed"'),
)

SPEECH: Final = KeyRules(
    kind="speech",
    form=frozenset({"stream_format"}),
    exact=True,
    ignored=frozenset({"model"}),
    defaults={"speed": (None, 1)},
    headers=_HEADERS,
    json=False,
)

#: By the end of the path, longest first: `/chat/completions` is one of `/completions` too.
rules_of: Final = rules_by_end(
    {
        "/chat/completions": CHAT,
        "/completions": COMPLETIONS,
        "/responses/input_tokens": COUNT,
        "/responses": RESPONSES,
        "/embeddings": EMBEDDINGS,
        "/moderations": MODERATIONS,
        "/rerank": JUDGEMENTS,
        "/score": JUDGEMENTS,
        "/classify": JUDGEMENTS,
        "/images/generations": IMAGES,
        "/audio/speech": SPEECH,
    }
)
