"""Who may ask a LiteLLM proxy, as this gateway lets callers in."""

from __future__ import annotations

from typing import Any, Final

from llmproxy.importing.keyrefs import KeyRefs
from llmproxy.importing.reasons import why
from llmproxy.importing.walking import Walk

_MASTER: Final = "LITELLM_MASTER_KEY"
_SHORTEST_KEY: Final = 12


def read_access(settings: Walk, refs: KeyRefs) -> dict[str, Any]:
    """Return the settings of the plugin `access`: the master key as one for callers, or that nobody is asked."""
    path, master = settings.first("master_key")
    settings.tell_rest(why)
    if master is None:
        text = (
            "not set, so everybody may use the gateway, which stays on this machine: write a key for others"
        )
        settings.tell("master_key", text)
        return {"mode": "open"}
    if not str(master).startswith("os.environ/") and len(str(master)) < _SHORTEST_KEY:
        text = f"too short, it could be guessed: set {_MASTER} to another of {_SHORTEST_KEY} or more letters"
        settings.tell("master_key", text)
        key = None
    else:
        key = refs.secret(master, _MASTER, path)
    settings.tell("master_key", "carried as a key for callers; the admin listener has a token of its own")
    return {"keys": [{"name": "master", "tenant": "default", "key": key or f"${{env:{_MASTER}}}"}]}
