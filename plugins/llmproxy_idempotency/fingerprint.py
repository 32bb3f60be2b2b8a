"""What makes a request the same request: a digest of all that its execution depends on. Pure."""

from __future__ import annotations

import re
from hashlib import blake2b

from llmproxy.plugin import Caller, ClientRequest, Headers

# Who asks, where no plugin has said it. A session that was renewed between two tries is another identity: the second
# try is refused, which is told; as part of the scope it would be executed again, which is not.
_IDENTITY = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie")
_BOUNDARY = re.compile(rb'boundary=(?:"([^"]+)"|([^\s;,"]+))', re.IGNORECASE)


def fingerprint(request: ClientRequest, body: bytes, caller: Caller) -> bytes:
    """Digest method, target, type and body; and the credentials, where no plugin identified the caller.

    What SDKs change from try to try is left out: their other headers, and the boundary that they draw for a form.
    """
    fields = request.headers.index
    kind = fields.get(b"content-type", b"")
    if kind[:10].lower() == b"multipart/" and (found := _BOUNDARY.search(kind)):
        boundary = found[1] or found[2]
        kind = kind.replace(found[0], b"")
        body = body.replace(b"--" + boundary, b"--")
    digest = blake2b(digest_size=24)
    for part in (
        request.method.encode("latin-1"),
        request.target.encode("latin-1", "replace"),
        kind,
        fields.get(b"content-encoding", b""),
        b"" if caller.key else identity(request.headers),
    ):
        digest.update(b"%d:%b" % (len(part), part))
    digest.update(body)
    return digest.digest()


def identity(headers: Headers) -> bytes:
    """Return the digest of a request's credentials."""
    digest = blake2b(digest_size=24)
    for name, value in headers.raw:
        if name.lower() in _IDENTITY:
            digest.update(b"%b:%d:%b" % (name.lower(), len(value), value))
    return digest.digest()
