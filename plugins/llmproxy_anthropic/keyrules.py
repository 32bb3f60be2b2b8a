"""What of a request decides its answer, in Anthropic's dialect.

`service_tier` and cache marks buy speed and price. What says who pays and where it runs (`workspace_id`,
`inference_geo`, `billing_policy`, `user_profile_id`) counts, as everything does that is not named.
"""

from __future__ import annotations

import re
from typing import Any, Final

from llmproxy.plugin import KeyRules, Turns, rules_by_end

_HEADERS: Final = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "",
    "anthropic-workspace-id": "",
    "anthropic-user-profile-id": "",
}
_NULL: Final[tuple[Any, ...]] = (None,)
_MARKS: Final = frozenset({"cache_control"})

#: Tools of Anthropic's making that the caller runs; a version follows.
_OWN_TOOLS: Final = ("bash_", "computer_", "memory_", "text_editor_")


def hosted(tool: Any) -> bool:
    """Say whether the provider runs a tool."""
    if not isinstance(tool, dict):
        return True
    kind = tool.get("type")
    return kind not in (None, "custom") and not (isinstance(kind, str) and kind.startswith(_OWN_TOOLS))


MESSAGES: Final = KeyRules(
    kind="messages",
    form=frozenset({"stream"}),
    ignored=frozenset({"model", "metadata", "service_tier", "cache_control"}),
    defaults={
        **dict.fromkeys(
            ("container", "context_management", "diagnostics", "mcp_servers", "thread", "top_k", "top_p"),
            _NULL,
        ),
        "temperature": (None, 1),
        "stop_sequences": (None, []),
        "system": (None, "", []),
        "tools": (None, []),
        "tool_choice": (None, {"type": "auto"}),
        # Which cloud it is says nothing of the answer.
        "anthropic_version": (None, "vertex-2023-10-16", "bedrock-2023-05-31"),
    },
    texts=(("system",),),
    turns=Turns("messages"),
    text_types=frozenset({"text"}),
    marks=_MARKS,
    users=(("metadata", "user_id"),),
    grounds={
        "container": "state",
        "thread": "state",
        "diagnostics": "references",
        "mcp_servers": "hosted-tools",
    },
    hosted=hosted,
    references=(("source", "url"), ("source", "file_id"), ("file_id",)),
    nested=(("content",), ("source", "content")),
    headers=_HEADERS,
    versions=frozenset({"anthropic-version"}),
    verbs=(":streamRawPredict", ":rawPredict"),
    whole=re.compile(rb'"stop_reason"\s*:\s*"'),
    flawed=re.compile(rb'"stop_reason"\s*:\s*"(?!(?:end_turn|tool_use|stop_sequence)")|"type"\s*:\s*"error"'),
)

COUNT: Final = KeyRules(
    kind="count",
    deterministic=True,
    exact=True,
    ignored=frozenset({"model", "cache_control"}),
    defaults={"tools": (None, []), "system": (None, "", [])},
    texts=MESSAGES.texts,
    turns=MESSAGES.turns,
    text_types=MESSAGES.text_types,
    marks=_MARKS,
    grounds={"mcp_servers": "hosted-tools"},
    references=MESSAGES.references,
    nested=MESSAGES.nested,
    headers=_HEADERS,
    whole=re.compile(rb'"input_tokens"\s*:\s*\d'),
)

COMPLETE: Final = KeyRules(
    kind="completions",
    exact=True,
    form=frozenset({"stream"}),
    ignored=frozenset({"model", "metadata"}),
    defaults={"stop_sequences": (None, []), "temperature": (None, 1)},
    users=MESSAGES.users,
    headers=_HEADERS,
    whole=re.compile(rb'"stop_reason"\s*:\s*"'),
    flawed=re.compile(rb'"stop_reason"\s*:\s*"(?!stop_sequence")|"type"\s*:\s*"error"'),
)

#: By the end of the path.
rules_of: Final = rules_by_end(
    {
        "/messages": MESSAGES,
        "/messages/count_tokens": COUNT,
        "/complete": COMPLETE,
        "/count-tokens:rawPredict": COUNT,
        ":rawPredict": MESSAGES,
        ":streamRawPredict": MESSAGES,
    }
)
