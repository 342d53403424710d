"""Refuse every connection that leaves this machine, in the tests and in each Python that they start."""

import socket

_connect = socket.socket.connect


def _only_loopback(self, address):
    host = address[0] if isinstance(address, tuple) else "127.0.0.1"
    if host not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"tests must not open a connection to {host}")
    return _connect(self, address)


socket.socket.connect = _only_loopback
