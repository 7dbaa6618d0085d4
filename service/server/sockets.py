"""The socket that the service listens on, or one line about why there is none."""

import errno
import ipaddress
import socket

from ..errors import CommandError


def listen(host: str, port: int, patience: float = 30.0) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises CommandError, which says what to do.

    A connection whose client takes nothing of what was sent to it for `patience` seconds is ended by the kernel (on
    Linux): an ordinary close would wait for such a client for ever.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise CommandError(f"cannot listen on {host}: {error.strerror}; choose another address with --host") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * patience))
        listener.bind(address)
        # At once: until one of them listens, two processes can be bound to the same port.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CommandError(_why_not(error, host, port)) from error
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} of {host} is in use: stop what listens there, or choose another with --port"
        case errno.EACCES | errno.EPERM:
            return f"this user may not listen on port {port}: choose one above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine: choose another with --host"
        case _:
            return f"cannot listen on {host}, port {port}: {error.strerror}; choose others with --host and --port"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach a listening socket."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def url_of(listener: socket.socket) -> str:
    """Where to reach a listening socket from this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
