"""Which service and region a host of AWS is; signatures name both. Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d+")
#: Names of hosts that sign under another one.
_SIGNED_AS: Final = {
    "bedrock-runtime": "bedrock",
    "bedrock-agent": "bedrock",
    "bedrock-agent-runtime": "bedrock",
    "lambda-url": "lambda",
}


class Place(NamedTuple):
    """A service by its signing name, and a region; empty where the host does not tell."""

    service: str
    region: str


def place_of(host: str) -> Place:
    """Return what a host tells: `bedrock-runtime.eu-west-1.amazonaws.com`, also behind a private link."""
    labels = host.lower().split(".")
    for at, label in enumerate(labels[1:], 1):
        if _REGION.fullmatch(label):
            service = labels[at - 1].removesuffix("-fips")
            return Place(_SIGNED_AS.get(service, service), label)
    return Place("", "")
