"""Listening sockets: made once by the process that stays, or inherited from systemd."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import stat
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from llmproxy.addresses import Address
from llmproxy.errors import StartError

BACKLOG = 4096  # the kernel cuts it to net.core.somaxconn

_log = structlog.get_logger("llmproxy")
_FIRST_INHERITED = 3  # SD_LISTEN_FDS_START
_SO_ATTACH_FILTER = 26


@dataclass(frozen=True, slots=True)
class Binding:
    """An address to listen on, and how; `name` says what for, and matches systemd's FileDescriptorName."""

    address: Address
    name: str = ""
    backlog: int = BACKLOG
    unix_mode: int = 0o660


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """One listening socket and the binding it serves.

    `inherited` sockets outlive this process: whoever made them hands their queue to the next one.
    """

    binding: Binding
    sock: socket.socket
    inherited: bool = False
    inode: int = 0

    def refuse_new(self) -> None:
        """Stop new connections while those already begun can still be accepted.

        Closing a listening socket resets what waits in its queue. So before a close: call this, go on
        accepting for a moment, then close. A caller that comes meanwhile is refused, or finds the next
        process. An inherited socket is left as it is.
        """
        if self.inherited:
            return
        if (path := self.binding.address.path) is not None:
            with suppress(OSError):
                if os.lstat(path).st_ino == self.inode:  # else another has taken the path
                    os.unlink(path)
        else:
            with suppress(OSError):  # without the filter, the queue is only emptied as far as it goes
                self.sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _drop_syn())


def open_listeners(bindings: Sequence[Binding], slots: int) -> list[list[Listener]]:
    """Open every binding for each of `slots` workers; return the listeners of each slot.

    A TCP address gets one SO_REUSEPORT socket a slot, because workers on one shared socket get uneven shares.
    A Unix socket, and one inherited from systemd, is one for all slots.

    Raises:
        StartError: an address cannot be had; the message names it.
    """
    inherited = _inherited_sockets(os.environ)
    opened: list[list[Listener]] = [[] for _ in range(slots)]
    try:
        for binding in bindings:
            for of_slot, listeners in zip(opened, _open(binding, slots, inherited), strict=True):
                of_slot.extend(listeners)
        _drop_unused(inherited, opened[0])
    except BaseException:
        close_listeners(opened)
        raise
    return opened


def close_listeners(opened: Sequence[Sequence[Listener]]) -> None:
    """Close this process's copies."""
    for listeners in opened:
        for listener in listeners:
            listener.sock.close()


def _open(binding: Binding, slots: int, inherited: list[tuple[str, socket.socket]]) -> list[list[Listener]]:
    if given := [sock for name, sock in inherited if _serves(sock, name, binding)]:
        shared = [Listener(binding, sock, inherited=True) for sock in given]
        return [list(shared) for _ in range(slots)]
    try:
        if binding.address.path is None:
            return _open_tcp(binding, slots)
        listener = _open_unix(binding, binding.address.path)
        return [[listener] for _ in range(slots)]
    except OSError as error:
        raise StartError(f"cannot listen on '{binding.address}': {error.strerror or error}") from error


def _open_tcp(binding: Binding, slots: int) -> list[list[Listener]]:
    opened: list[list[Listener]] = [[] for _ in range(slots)]
    port = binding.address.port
    try:
        for family, host in _resolve(binding.address):
            if slots > 1 and port:
                # SO_REUSEPORT would silently share the port with another gateway of the same user
                _bind_tcp(family, host, port, reuse_port=False).close()
            for of_slot in opened:
                sock = _bind_tcp(family, host, port, reuse_port=slots > 1)
                of_slot.append(Listener(binding, sock))
                port = port or sock.getsockname()[1]
        for of_slot in opened:
            for listener in of_slot:
                listener.sock.listen(binding.backlog)
    except BaseException:
        close_listeners(opened)
        raise
    return opened


def _resolve(address: Address) -> list[tuple[socket.AddressFamily, str]]:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    hosts: list[tuple[socket.AddressFamily, str]] = list(
        dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found)
    )
    # "localhost" names both families, also on a host that has only one
    return [host for host in hosts if _exists(*host)] or hosts


def _exists(family: socket.AddressFamily, host: str) -> bool:
    try:
        _bind_tcp(family, host, 0, reuse_port=False).close()
    except OSError as error:
        return error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
    return True


def _bind_tcp(family: socket.AddressFamily, host: str, port: int, *, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _open_unix(binding: Binding, path: str) -> Listener:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~binding.unix_mode)
    try:
        sock.setblocking(False)
        sock.bind(path)
        os.chmod(path, binding.unix_mode)
        sock.listen(binding.backlog)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)
    return Listener(binding, sock, inode=os.lstat(path).st_ino)


def _remove_stale(path: str) -> None:
    """Unlink a socket file that nothing listens on; refuse to touch anything else."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"cannot listen on 'unix:{path}': the file exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # its queue is full: somebody is there
    raise StartError(f"cannot listen on 'unix:{path}': another process listens there")


def _inherited_sockets(environ: Mapping[str, str]) -> list[tuple[str, socket.socket]]:
    """Return the sockets systemd passed to this process, each with its FileDescriptorName."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environ.get("LISTEN_FDS", "0"))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * (count - len(names))
    found = []
    for number, name in zip(range(_FIRST_INHERITED, _FIRST_INHERITED + count), names, strict=False):
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
        sock.setblocking(False)
        found.append((name, sock))
    return found


def _drop_unused(inherited: list[tuple[str, socket.socket]], used: Sequence[Listener]) -> None:
    for name, sock in inherited:
        if not any(listener.sock is sock for listener in used):
            _log.warning("inherited_socket_unused", name=name, bound=str(sock.getsockname()))
            sock.close()


def _serves(sock: socket.socket, name: str, binding: Binding) -> bool:
    """Say whether an inherited socket is meant for `binding`: by its name, else by where it is bound."""
    if binding.name and name == binding.name:
        return True
    where = sock.getsockname()
    address = binding.address
    if address.path is not None:
        return sock.family == socket.AF_UNIX and where == address.path
    if sock.family not in {socket.AF_INET, socket.AF_INET6} or where[1] != address.port:
        return False
    return bool(where[0] == address.host)


# Classic BPF over the TCP header: drop a segment with SYN and without ACK, pass all others.
_DROP_SYN = b"".join(
    struct.pack("HBBI", *step)
    for step in (
        (0x30, 0, 0, 13),  # load the flags
        (0x54, 0, 0, 0x12),  # keep SYN and ACK
        (0x15, 0, 1, 0x02),  # SYN alone?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),  # pass
    )
)
_DROP_SYN_BUFFER = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))


def _drop_syn() -> bytes:
    return struct.pack("@HP", len(_DROP_SYN) // 8, ctypes.addressof(_DROP_SYN_BUFFER))
