"""Entity tags of this cache's own, for answers to which the origin gives none."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Body
from llmproxy_httpcache.storing import with_etag

if TYPE_CHECKING:
    from llmproxy.plugin import Reply
    from llmproxy_httpcache.policy import Policy
    from llmproxy_httpcache.storing import Keep

#: An answer that is no longer, and says so, is read to its end before it is passed on, so that it has its tag at once.
READ_FIRST: Final = 64 * 1024


def etag_of(body: bytes | memoryview) -> bytes:
    """Return a strong entity tag: another for other bytes (RFC 9110 §8.8.3)."""
    return b'"%b"' % blake2b(body, digest_size=16).hexdigest().encode()


def wants_etag(policy: Policy, status: int, keep: Keep) -> bool:
    """Whether an answer that is to be stored gets a tag."""
    return policy.makes_etags and status == 200 and not keep.terms.etag


async def tagged(reply: Reply, keep: Keep) -> Keep:
    """Give a reply its tag, if that is to be had at once; return the terms with it."""
    if isinstance(reply.body, Body):
        length = reply.headers.index.get(b"content-length", b"")
        if not length.isdigit() or int(length[:9]) > READ_FIRST:
            return keep
        reply.body = await reply.body.read(READ_FIRST)
    etag = etag_of(reply.body)
    reply.headers.set(b"ETag", etag)
    return with_etag(keep, etag)
