"""Registries on loopback that speak as the real ones are documented to, and lists that tests change."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import orjson
from aiohttp import web
from tests.webserver import WebServer

from llmproxy.plugin import MemberSource, PoolMember


async def listed(source: MemberSource) -> list[PoolMember]:
    """Look once."""
    async with asyncio.timeout(5):
        return list((await source.look()).members)


async def addresses(source: MemberSource) -> list[str]:
    """Look once, and say where the members are."""
    return [member.address for member in await listed(source)]


class FakeDns(asyncio.DatagramProtocol):
    """A DNS server on UDP and TCP: `zone["backend.test.", "A"] = (30, ["10.0.0.1"])`, a life and records as text."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], tuple[int, list[str]]] = {}
        #: What all answers say instead: `SERVFAIL`, or `silence` for none at all.
        self.broken: str = ""
        self.asked: list[tuple[str, str]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        here = self._server.sockets[0].getsockname()
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, here)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer over TCP, as is asked for where an answer had been cut (RFC 7766)."""
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        wire = self._answer(query).to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()
        writer.close()

    @property
    def address(self) -> str:
        return "{}:{}".format(*self._transport.get_extra_info("sockname"))

    def put(self, ports: Iterable[int]) -> None:
        """List hosts of loopback under one SRV name."""
        records = [f"0 1 {port} host-{port}.backend.test." for port in ports]
        for port in ports:
            self.zone[f"host-{port}.backend.test.", "A"] = (0, ["127.0.0.1"])
        self.zone["_http._tcp.backend.test.", "SRV"] = (0, records)

    def datagram_received(self, data: bytes, peer: Any) -> None:
        answer = self._answer(data)
        if self.broken == "silence":
            return
        wire = answer.to_wire()
        if len(wire) > 512:
            answer.answer.clear()
            answer.flags |= dns.flags.TC
            wire = answer.to_wire()
        self._transport.sendto(wire, peer)

    def _answer(self, data: bytes) -> dns.message.Message:
        query = dns.message.from_wire(data)
        name, kind = query.question[0].name.to_text().lower(), dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append((name, kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if self.broken and self.broken != "silence":
            answer.set_rcode(dns.rcode.from_text(self.broken))
        else:
            self._fill(answer, name, kind)
        return answer

    def _fill(self, answer: dns.message.Message, name: str, kind: str) -> None:
        if not any(known == name for known, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        while (name, "CNAME") in self.zone:
            ttl, records = self.zone[name, "CNAME"]
            answer.answer.append(dns.rrset.from_text(name, ttl, "IN", "CNAME", *records))
            name = records[0]
        ttl, records = self.zone.get((name, kind), (0, []))
        if records:
            answer.answer.append(dns.rrset.from_text(name, ttl, "IN", kind, *records))


class FakeApi(WebServer):
    """A server of an HTTP API; `asked` are the requests' targets, `broken` a status that all get."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[Any] = []
        self.broken = 0
        self.nonsense = b""
        self._changed = asyncio.Event()

    async def __aexit__(self, *fault: object) -> None:
        self.wake()
        await super().__aexit__(*fault)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        self.headers.append(request.headers)
        if self.broken:
            return web.Response(status=self.broken)
        if self.nonsense:
            return web.Response(body=self.nonsense)
        return await self.answer(request)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError

    def wake(self) -> None:
        """Tell those that wait for news."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def news(self, within: float) -> None:
        changed = self._changed
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await changed.wait()


def reply(value: Any, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json", headers=headers)


class FakeConsul(FakeApi):
    """Consul's health endpoint, with blocking queries (https://developer.hashicorp.com/consul/api-docs/health)."""

    def __init__(self) -> None:
        super().__init__()
        self.index = 1
        self.entries: list[dict[str, Any]] = []

    @staticmethod
    def instance(port: int, address: str = "127.0.0.1", **service: Any) -> dict[str, Any]:
        node = {"Node": "n1", "Address": "10.9.9.9"}
        return {"Node": node, "Service": {"Address": address, "Port": port, **service}, "Checks": []}

    def set(self, entries: list[dict[str, Any]]) -> None:
        self.entries = entries
        self.index += 1
        self.wake()

    def put(self, ports: Iterable[int]) -> None:
        self.set([self.instance(port) for port in ports])

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.path == "/v1/health/service/backend"
        assert request.query["passing"] == "1"
        known = int(request.query.get("index", 0))
        if known and known == self.index:
            await self.news(float(request.query["wait"].removesuffix("s")))
        return reply(self.entries, {"X-Consul-Index": str(self.index)})


class FakeEureka(FakeApi):
    """Eureka's registry and its deltas (https://github.com/Netflix/eureka/wiki/Eureka-REST-operations)."""

    def __init__(self) -> None:
        super().__init__()
        self.instances: dict[str, dict[str, Any]] = {}
        self.delta: list[dict[str, Any]] = []
        #: Whether the delta says that it belongs to another registry than the client's.
        self.forked = False
        self.gives_delta = True

    def add(self, port: int, /, status: str = "UP", app: str = "BACKEND", **more: Any) -> None:
        name = f"host:{app}:{port}"
        old = name in self.instances
        self.instances[name] = {
            "instanceId": name,
            "app": app,
            "ipAddr": "127.0.0.1",
            "hostName": "backend-host",
            "status": status,
            "port": {"$": port, "@enabled": "true"},
            "securePort": {"$": port + 1, "@enabled": "false"},
            **more,
        }
        self.delta.append({**self.instances[name], "actionType": "MODIFIED" if old else "ADDED"})

    def remove(self, port: int, app: str = "BACKEND") -> None:
        gone = self.instances.pop(f"host:{app}:{port}")
        self.delta.append({**gone, "actionType": "DELETED"})

    def put(self, ports: Iterable[int]) -> None:
        wanted = set(ports)
        known = {each["port"]["$"] for each in self.instances.values()}
        for port in known - wanted:
            self.remove(port)
        for port in wanted - known:
            self.add(port)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept"] == "application/json"
        if request.path == "/eureka/apps":
            self.delta.clear()
            return reply(self._tree(self.instances.values()))
        assert request.path == "/eureka/apps/delta"
        if not self.gives_delta:
            return web.Response(status=403)
        tree = self._tree(self.delta)
        self.delta = []
        return reply(tree)

    def _tree(self, instances: Iterable[dict[str, Any]]) -> dict[str, Any]:
        apps: dict[str, list[dict[str, Any]]] = {}
        for each in instances:
            apps.setdefault(each["app"], []).append(each)
        listed = [{"name": name, "instance": found} for name, found in apps.items()]
        counts = Counter(each["status"] for each in self.instances.values())
        code = "".join(f"{status}_{counts[status]}_" for status in sorted(counts))
        told = "UP_99_" if self.forked else code
        return {"applications": {"versions__delta": "1", "apps__hashcode": told, "application": listed}}


class FakeKubernetes(FakeApi):
    """The part of the API server that lists and watches EndpointSlices (Kubernetes API concepts)."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 1
        self.slices: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[int, dict[str, Any]]] = []
        #: Versions up to this one are too old to be watched from.
        self.compacted = 0
        self.page = 500
        self.watch_seconds = 30.0

    @staticmethod
    def endpoint(address: str, **conditions: bool) -> dict[str, Any]:
        return {"addresses": [address], "conditions": conditions or {"ready": True}, "zone": "a"}

    def change(self, kind: str, name: str, endpoints: Any = (), ports: Any = None) -> None:
        """Add, modify or delete one slice."""
        self.version += 1
        item = {
            "metadata": {"name": name, "resourceVersion": str(self.version)},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}] if ports is None else ports,
            "endpoints": list(endpoints),
        }
        if kind == "DELETED":
            self.slices.pop(name)
        else:
            self.slices[name] = item
        self.events.append((self.version, {"type": kind, "object": item}))
        self.wake()

    def bookmark(self) -> None:
        self.version += 1
        item = {"metadata": {"resourceVersion": str(self.version)}}
        self.events.append((self.version, {"type": "BOOKMARK", "object": item}))
        self.wake()

    def put(self, ports: Iterable[int]) -> None:
        """Have a slice for each port, as each has its own in this API."""
        wanted = {f"backend-{port}": port for port in ports}
        for name in self.slices.keys() - wanted.keys():
            self.change("DELETED", name)
        for name in wanted.keys() - self.slices.keys():
            port = [{"name": "http", "port": wanted[name]}]
            self.change("ADDED", name, [self.endpoint("127.0.0.1")], port)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.path == "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
        assert request.query["labelSelector"] == "kubernetes.io/service-name=backend"
        if "watch" in request.query:
            return await self._watch(request)
        first = int(request.query.get("continue", 0))
        items = list(self.slices.values())
        rest = str(first + self.page) if first + self.page < len(items) else ""
        metadata = {"resourceVersion": str(self.version), "continue": rest}
        return reply({"metadata": metadata, "items": items[first : first + self.page]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        seen = int(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        until = asyncio.get_running_loop().time() + self.watch_seconds
        while asyncio.get_running_loop().time() < until:
            if seen < self.compacted:
                gone = {"kind": "Status", "code": 410, "reason": "Expired"}
                await response.write(orjson.dumps({"type": "ERROR", "object": gone}) + b"\n")
                break
            fresh = [(version, event) for version, event in self.events if version > seen]
            for seen, event in fresh:  # noqa: B007  # the last one stays
                await response.write(orjson.dumps(event) + b"\n")
            if not fresh:
                await self.news(until - asyncio.get_running_loop().time())
        return response
