"""Voices that models speak with: whose name another provider does not know is told the one that sounds most like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmproxy.canonical.losses import Losses

#: OpenAI's voices, each with one of Google's that its documentation describes alike.
_GOOGLES: Final = {
    "alloy": "Kore",
    "ash": "Charon",
    "ballad": "Algieba",
    "cedar": "Iapetus",
    "coral": "Aoede",
    "echo": "Puck",
    "fable": "Sadaltager",
    "marin": "Despina",
    "nova": "Leda",
    "onyx": "Orus",
    "sage": "Sulafat",
    "shimmer": "Zephyr",
    "verse": "Fenrir",
}
#: Google's voices, each with one of OpenAI's.
_OPENAIS: Final = {
    **{google.lower(): name for name, google in _GOOGLES.items()},
    "achernar": "shimmer",
    "achird": "echo",
    "algenib": "onyx",
    "alnilam": "ash",
    "autonoe": "nova",
    "callirrhoe": "coral",
    "enceladus": "ballad",
    "erinome": "sage",
    "gacrux": "marin",
    "laomedeia": "coral",
    "pulcherrima": "nova",
    "rasalgethi": "fable",
    "sadachbia": "verse",
    "schedar": "cedar",
    "umbriel": "cedar",
    "vindemiatrix": "sage",
    "zubenelgenubi": "echo",
}


def googles_voice(name: str, losses: Losses) -> str:
    """Return the voice that Google knows for a name; a name that nobody knows stays."""
    return _told(name, _GOOGLES.get(name.lower(), ""), losses)


def openais_voice(name: str, losses: Losses) -> str:
    """Return the voice that OpenAI knows for a name; a name that nobody knows stays."""
    return _told(name, _OPENAIS.get(name.lower(), ""), losses)


def _told(name: str, instead: str, losses: Losses) -> str:
    if not instead:
        return name
    losses.lose("voice", f"it is spoken by {instead}")
    return instead
