"""A token server and an API on loopback: tokens that live for seconds, and an API that refuses those that are over."""

from __future__ import annotations

import base64
import time
from contextlib import asynccontextmanager
from functools import cache

import orjson
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.webserver import served


def decoded(token):
    """Return what a token claims."""
    claims = token.split(".")[1] if token.count(".") == 2 else ""
    return orjson.loads(base64.urlsafe_b64decode(claims + "==") or b"{}")


@cache
def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


class Google:
    """Gives numbered tokens at /token, and answers at /api to those that live."""

    def __init__(self):
        self.lives = 3600.0
        self.tokens = {}
        self.asked = self.served = self.refused = 0
        self.refusal = None
        self.seen = []

    def revoke_all(self):
        self.tokens.clear()

    def service_account(self, **more):
        return orjson.dumps(
            {
                "type": "service_account",
                "client_email": "gateway@project.iam.gserviceaccount.com",
                "private_key": private_key(),
                "private_key_id": "1",
                "token_uri": f"{self.url}/token",
                **more,
            }
        ).decode()

    def identity(self, name):
        """Return an identity token; nobody checks its signature here."""
        told = orjson.dumps({"exp": int(time.time() + self.lives), "iat": int(time.time()), "jti": name})
        return ".".join(
            base64.urlsafe_b64encode(part).decode() for part in (b'{"alg":"RS256"}', told, b"signed")
        )

    async def token(self, request):
        form = await request.post()
        self.asked += 1
        self.seen.append(dict(form))
        if self.refusal is not None:
            return web.json_response(self.refusal, status=400)
        name = f"token-{self.asked}"
        self.tokens[name] = time.monotonic() + self.lives
        if "target_audience" in decoded(form.get("assertion", "")):
            return web.json_response({"id_token": self.identity(name)})
        told = {"access_token": name, "expires_in": max(1, int(self.lives)), "token_type": "Bearer"}
        return web.json_response(told)

    async def api(self, request):
        await request.read()
        name = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        if self.tokens.get(name, 0.0) <= time.monotonic():
            self.refused += 1
            return web.json_response({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, status=401)
        self.served += 1
        return web.json_response({"token": name})


@asynccontextmanager
async def google_serving():
    google = Google()
    app = web.Application()
    app.router.add_post("/token", google.token)
    app.router.add_route("*", "/api/{rest:.*}", google.api)
    async with served(app) as google.url:
        yield google
