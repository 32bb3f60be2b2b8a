"""TLS on the listening side, with certificates that can be replaced while it serves."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from llmproxy.errors import StartError

if TYPE_CHECKING:
    from llmproxy.config import TlsConfig

_CLIENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Certificates:
    """The contexts in use. A refresh loads their files again: new handshakes get the new certificate.

    A client authority that is taken out of its file stays trusted until a restart.
    """

    def __init__(self) -> None:
        self._loaded: list[tuple[ssl.SSLContext, TlsConfig]] = []

    def context(self, tls: TlsConfig) -> ssl.SSLContext:
        """Return a listener's context, remembered for `refresh`."""
        context = server_context(tls)
        self._loaded.append((context, tls))
        return context

    def check(self) -> None:
        """Load every file into contexts that nobody uses.

        Raises:
            StartError: which file cannot be used, and why.
        """
        for _, tls in self._loaded:
            server_context(tls)

    def refresh(self) -> None:
        """Load every file again, all or none.

        Raises:
            StartError: which file, and why; the certificates in use stay.
        """
        self.check()
        for context, tls in self._loaded:
            _load(context, tls)


def server_context(tls: TlsConfig) -> ssl.SSLContext:
    """Return a listener's TLS context: TLS 1.2 or newer, HTTP/1.1 only."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.verify_mode = _CLIENTS[tls.client_auth]
    _load(context, tls)
    return context


def _load(context: ssl.SSLContext, tls: TlsConfig) -> None:
    try:
        # An empty password, as OpenSSL would ask the terminal for one.
        context.load_cert_chain(tls.certificate, tls.key, password="")
        if tls.client_ca:
            context.load_verify_locations(tls.client_ca)
    except (OSError, ssl.SSLError) as fault:
        reason = fault.strerror or fault.__class__.__name__
        raise StartError(f"certificate {tls.certificate!r} or its key cannot be loaded: {reason}") from fault
