"""What a configuration asks to listen on."""

from __future__ import annotations

from typing import Final

from llmproxy.addresses import parse_address
from llmproxy.config import Config
from llmproxy.sockets import Binding

#: The name of the admin listener's binding; others are named by their address, as it is configured.
ADMIN: Final = "admin"


def bindings(config: Config) -> list[Binding]:
    """Return the data listeners' bindings in the configuration's order, then the admin listener's."""
    backlog = config.server.backlog
    found = [
        Binding(parse_address(each.address), name=str(each.address), backlog=backlog)
        for each in config.listeners
    ]
    if config.admin.address is not None:
        found.append(Binding(config.admin.address, name=ADMIN))
    return found
