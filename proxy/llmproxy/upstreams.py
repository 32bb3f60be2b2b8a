"""From the configuration's upstreams to what requests are sent through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from llmproxy.authorizers import Authorizer
from llmproxy.authorizing import AuthorizedUpstream
from llmproxy.credentials import credentials_of
from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigError, ConfigErrors, below
from llmproxy.keypaths import join_key
from llmproxy.suggestions import nearest
from llmproxy.upstream import Upstream

if TYPE_CHECKING:
    from llmproxy.assembly import Assembly
    from llmproxy.config import UpstreamConfig
    from llmproxy.registry import Registrations
    from llmproxy.runtime import Process
    from llmproxy.upstreamsettings import AuthorizerRef


def build_upstreams(assembly: Assembly, process: Process, environ: Mapping[str, str]) -> dict[str, Upstream]:
    """Make every upstream of a configuration; nothing connects.

    Raises:
        ConfigErrors: an authorizer is not known, or its options are wrong.
    """
    listed = assembly.config.listed_upstreams()
    made: dict[str, Upstream] = {}
    for name, upstream in assembly.config.upstreams.items():
        known = credentials_of(name, upstream, assembly.face_of(name), process)
        config = upstream
        if upstream.proxy == "env" and name in listed:
            config = msgspec.structs.replace(upstream, proxy=None)  # members are reached directly
        if upstream.auth is None:
            made[name] = Upstream(name, config, known.fixed, environ, known.keyed, known.keys)
        else:
            authorizer = _authorizer(name, upstream, upstream.auth, assembly.registered)
            if (socket := getattr(authorizer, "socket", None)) is not None:
                config = msgspec.structs.replace(config, socket=socket)
            made[name] = authorized = AuthorizedUpstream(name, config, known.fixed, environ)
            authorized.authorizer = authorizer
    return made


def _authorizer(
    name: str, upstream: UpstreamConfig, ref: AuthorizerRef, registered: Registrations
) -> Authorizer:
    path, known = f"{join_key('upstreams', name)}.auth", sorted(registered.authorizers)
    if ref.name not in known:
        message = f"{ref.name!r} is not known (known: {', '.join(known) or 'none'})"
        raise ConfigErrors([ConfigError(path, message, nearest(ref.name, known))])
    kind, options = registered.authorizers[ref.name], join_key(path, ref.name)
    try:
        return kind.make(upstream, decode_struct(kind.options, ref.options, ""))
    except (ConfigError, ConfigErrors) as fault:
        raise below(options, fault) from None
