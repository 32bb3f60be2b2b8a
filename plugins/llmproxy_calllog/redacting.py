"""Texts without what should not be kept: cards, accounts, addresses, telephone numbers, keys.

What proves itself by a checksum goes only if it does; the rest goes by its look, rather too much than too little. Each
is told by its kind: `[card]`, `[iban]`, `[mail]`, `[phone]`, `[key]`; credentials by name as the gateway's log does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from llmproxy.plugin import is_sensitive, redact_text
from llmproxy_calllog.checksums import iban_length, is_card

REDACTED: Final = "[redacted]"

_DEPTH: Final = 64
_SHORTEST_CREDENTIAL: Final = 6
_CARD: Final = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,}", re.ASCII)
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,60}", re.ASCII)
_MAIL: Final = re.compile(
    r"(?<![\w.%+-])[\w.%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)+[A-Za-z0-9-]{2,63}"
)
_PHONE: Final = re.compile(
    r"(?<![\w.+])(?:\+|00)[1-9](?:[ ().-]{0,2}\d){7,14}(?!\d)"
    r"|(?<![\w.])\(?[2-9]\d{2}\)?[ .-]\d{3}[ .-]\d{4}(?![\w.]?\d)"
    r"|(?<![\w.])\(?0\d{1,4}\)?[ /-]\d{3,4}(?:[ -]?\d{2,4}){1,3}(?!\d)",
    re.ASCII,
)
_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<![A-Za-z0-9])(?:llmp-|github_pat_|gh[a-z]_|xox[a-z]-|glpat-|ASIA|AKIA|r8_|pplx-|nvapi-|lsv2_|dop_v1_)"
    r"[-_A-Za-z0-9.]{12,}",
    re.DOTALL,
)
_DATA: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[\w;=.+-]{0,80};base64,[A-Za-z0-9+/=_-]+", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{400,}={0,2}", re.ASCII)


class Redactor:
    """Redacts the texts of one call, in which its caller's own credentials may stand too."""

    def __init__(self, credentials: Sequence[bytes] = ()) -> None:
        words = {word for each in credentials for word in _words(each)}
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        self._own = re.compile("|".join(map(re.escape, longest_first))) if words else None

    def text(self, text: str) -> str:
        """Return `text` without what should not be kept."""
        if self._own is not None:
            text = self._own.sub(REDACTED, text)
        text = _DATA.sub(_data, text)
        text = _BASE64.sub(_bytes, text)
        text = _KEY.sub("[key]", text)
        text = redact_text(text)
        if "@" in text:
            text = _MAIL.sub("[mail]", text)
        text = _IBAN.sub(_iban, text)
        text = _CARD.sub(_card, text)
        return _PHONE.sub("[phone]", text)

    def tree(self, value: Any, name: str = "", depth: int = _DEPTH) -> Any:
        """Return parsed JSON without it: names count, and each text is redacted by itself."""
        if isinstance(value, str):
            return REDACTED if name and is_sensitive(name) else self.text(value)
        if isinstance(value, dict | list) and depth == 0:
            return "..."
        if isinstance(value, dict):
            return {self.text(key): self.tree(item, key, depth - 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, name, depth - 1) for item in value]
        return self._number(value)

    def _number(self, value: Any) -> Any:
        """Return a number, unless it is a card's."""
        return "[card]" if type(value) is int and is_card(str(value)) else value


def _words(credential: bytes) -> list[str]:
    """Return what of a header's value is secret: all words of it that are long, and what stands behind `name=`."""
    text = credential.decode("latin-1")
    words = [part.partition("=")[2] or part for part in re.split(r"[\s;,]+", text)]
    return [
        word
        for word in (*words, *text.split())
        if len(word) >= _SHORTEST_CREDENTIAL and word.lower() != "bearer"
    ]


def _data(found: re.Match[str]) -> str:
    return f"[{found[1] or 'data'}, {len(found[0])} characters]"


def _bytes(found: re.Match[str]) -> str:
    text = found[0]
    # a long word of one sign is a rule, or a test
    return text if len(set(text)) < 8 else f"[{len(text)} characters]"


def _card(found: re.Match[str]) -> str:
    """Hide the cards among digits in groups: where a number begins and ends is not known, so each stretch is tried."""
    text = found[0]
    places = [place for place, sign in enumerate(text) if sign.isdigit()]
    digits = "".join(text[place] for place in places)
    ends = {index for index, place in enumerate(places, 1) if not text[place + 1 : place + 2].isdigit()}
    out, start, copied = "", 0, 0
    while start < len(digits):
        begins = not start or not text[places[start] - 1].isdigit()
        length = _card_length(digits, start, ends) if begins else 0
        if length:
            out += text[copied : places[start]] + "[card]"
            copied = places[start + length - 1] + 1
        start += length or 1
    return out + text[copied:]


def _card_length(digits: str, start: int, ends: set[int]) -> int:
    lengths = (length for length in range(19, 12, -1) if start + length in ends)
    return next((length for length in lengths if is_card(digits[start : start + length])), 0)


def _iban(found: re.Match[str]) -> str:
    text = found[0]
    plain = "".join(sign for sign in text if sign.isalnum())
    length = iban_length(plain)
    if not length:
        return text
    seen = 0
    for place, sign in enumerate(text, 1):
        seen += sign.isalnum()
        if seen == length:
            return "[iban]" + text[place:]
    return "[iban]"
