"""TLS on the listening side, with certificates that can be replaced while it serves."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from llmproxy.errors import StartError

if TYPE_CHECKING:
    from llmproxy.config import TlsConfig

_CLIENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Certificates:
    """The contexts in use. A refresh loads their files again: new handshakes get the new certificate."""

    def __init__(self) -> None:
        self._loaded: list[tuple[ssl.SSLContext, TlsConfig]] = []

    def add(self, context: ssl.SSLContext, tls: TlsConfig) -> None:
        """Load a listener's files into its context and remember both."""
        _load(context, tls)
        self._loaded.append((context, tls))

    def refresh(self) -> None:
        """Load every file again; a file that cannot be read keeps the certificate in use.

        Raises:
            StartError: which file, and why.
        """
        for context, tls in self._loaded:
            _load(context, tls)


certificates = Certificates()


def server_context(tls: TlsConfig) -> ssl.SSLContext:
    """Return a listener's TLS context: TLS 1.2 or newer, HTTP/1.1 only."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = _CLIENTS[tls.client_auth]
    certificates.add(context, tls)
    return context


def _load(context: ssl.SSLContext, tls: TlsConfig) -> None:
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca:
            context.load_verify_locations(tls.client_ca)
    except (OSError, ssl.SSLError) as fault:
        reason = fault.strerror or fault.__class__.__name__
        raise StartError(f"certificate {tls.certificate!r} or its key cannot be loaded: {reason}") from fault
