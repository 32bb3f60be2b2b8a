import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import llmproxy
from llmproxy.addresses import Address
from llmproxy.errors import StartError
from llmproxy.sockets import Binding, Listener, close_listeners, open_listeners

LOOPBACK = "127.0.0.1"


@pytest.fixture
def opened():
    """Open listeners that are closed after the test."""
    everything = []

    def open_all(addresses, slots=1):
        everything.append(open_listeners(addresses, slots))
        return everything[-1]

    yield open_all
    for listeners in everything:
        close_listeners(listeners)


def tcp(host, port):
    return Binding(Address(host, port))


def unix(path):
    return Binding(Address("", 0, path))


def port_of(listener: Listener) -> int:
    return listener.sock.getsockname()[1]


def test_every_slot_has_its_own_socket_on_the_same_port(opened):
    slots = opened([tcp(LOOPBACK, 0)], 3)
    socks = [listeners[0].sock for listeners in slots]

    assert len({sock.fileno() for sock in socks}) == 3
    assert len({port_of(listeners[0]) for listeners in slots}) == 1
    assert all(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) for sock in socks)


def test_one_worker_shares_its_port_with_nobody(opened):
    ((listener,),) = opened([tcp(LOOPBACK, 0)])

    assert not listener.sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    assert listener.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert not listener.sock.getblocking()


@pytest.mark.parametrize("slots", [1, 2])
def test_a_port_in_use_is_refused_by_name(opened, slots):
    port = port_of(opened([tcp(LOOPBACK, 0)], 2)[0][0])

    with pytest.raises(StartError, match=rf"cannot listen on '127\.0\.0\.1:{port}': Address already in use"):
        opened([tcp(LOOPBACK, port)], slots)


def test_a_failure_closes_what_was_opened_before(opened, tmp_path):
    path = str(tmp_path / "first.sock")
    with pytest.raises(StartError):
        opened([unix(path), unix(str(tmp_path / "none" / "second.sock"))])

    ((listener,),) = opened([unix(path)])
    assert listener.sock.getsockname() == path


def test_ipv6_is_spoken(opened):
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("this host has no IPv6")
    ((listener,),) = opened([tcp("::1", 0)])

    assert listener.sock.getsockname()[0] == "::1"


def test_a_name_with_several_addresses_gets_one_port_on_each(opened):
    (listeners,) = opened([tcp("localhost", 0)])

    assert LOOPBACK in {listener.sock.getsockname()[0] for listener in listeners}
    assert len({port_of(listener) for listener in listeners}) == 1


def test_a_unix_socket_is_shared_by_all_slots_and_open_to_the_group(opened, tmp_path):
    path = str(tmp_path / "proxy.sock")
    slots = opened([unix(path)], 2)

    assert slots[0][0] is slots[1][0]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


def test_a_stale_socket_file_is_replaced(opened, tmp_path):
    path = str(tmp_path / "proxy.sock")
    close_listeners(opened([unix(path)]))
    opened([unix(path)])

    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_socket_somebody_listens_on_is_left_alone(opened, tmp_path):
    path = str(tmp_path / "proxy.sock")
    opened([unix(path)])

    with pytest.raises(StartError, match="another process listens there"):
        opened([unix(path)])


def test_a_file_that_is_no_socket_is_left_alone(opened, tmp_path):
    (tmp_path / "notes").write_text("mine")

    with pytest.raises(StartError, match="exists and is not a socket"):
        opened([unix(str(tmp_path / "notes"))])
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")
def test_after_refuse_new_the_queue_is_served_and_nobody_joins_it(opened):
    ((listener,),) = opened([tcp(LOOPBACK, 0)])
    early = socket.create_connection(listener.sock.getsockname())
    listener.refuse_new()
    late = socket.socket()
    late.setblocking(False)
    late.connect_ex(listener.sock.getsockname())

    accepted, _ = listener.sock.accept()
    early.sendall(b"hello")
    accepted.setblocking(True)
    with early, accepted, late:
        assert accepted.recv(5) == b"hello"
        with pytest.raises(BlockingIOError):
            listener.sock.accept()


def test_refuse_new_unlinks_a_unix_socket_but_not_a_successors(opened, tmp_path):
    path = tmp_path / "proxy.sock"
    ((first,),) = opened([unix(str(path))])
    first.refuse_new()
    gone = not path.exists()
    opened([unix(str(path))])
    first.refuse_new()

    assert gone
    assert path.exists()


INHERIT = """
import sys
from llmproxy.sockets import *
proxy = Binding(Address("127.0.0.1", int(sys.argv[1])))
admin = Binding(Address("", 0, "/nowhere/x"), name="admin")
for listeners in open_listeners([proxy, admin], 2):
    print(*(f"{one.sock.fileno()}:{one.inherited}" for one in listeners))
listeners[0].refuse_new()
"""


def test_systemds_sockets_are_used_by_place_and_by_name_and_stay_open(opened, tmp_path):
    """Of three passed sockets one is wanted by its place, one by its name, one by nobody."""
    listeners = opened([tcp(LOOPBACK, 0), unix(str(tmp_path / "a")), unix(str(tmp_path / "b"))])
    fds = [os.dup(listener.sock.fileno()) for listener in listeners[0]]
    names = "LISTEN_FDNAMES=proxy:admin:other LISTEN_FDS=3 LISTEN_PID=$$"
    moved = " ".join(f"{number}<&{fd}" for number, fd in zip((3, 4, 5), fds, strict=True))
    script = f'{names} exec "$0" "$@" {moved}'
    command = ["bash", "-c", script, sys.executable, "-c", INHERIT, str(port_of(listeners[0][0]))]
    package_root = str(Path(llmproxy.__file__).parents[1])
    done = subprocess.run(
        command,
        pass_fds=fds,
        env={**os.environ, "PYTHONPATH": package_root},
        capture_output=True,
        text=True,
        check=False,
    )
    for fd in fds:
        os.close(fd)

    assert done.stdout.splitlines()[-2:] == ["3:True 4:True", "3:True 4:True"], done.stderr
    assert "inherited_socket_unused" in done.stdout
    socket.create_connection(listeners[0][0].sock.getsockname()).close()
