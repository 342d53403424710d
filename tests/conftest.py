"""Shared fixtures: the paper's source data, no sockets beyond loopback, hypothesis that repeats itself."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("repeatable")


def shared_file(relative):
    """Return a file or folder of the data kept beside the checkout; skip without it, but fail in CI."""
    path = Path(os.environ.get("MULTIFRACTAL_SHARED", ROOT.parent / "shared")) / relative
    if not path.exists():
        message = f"{relative} is not beside this checkout (set MULTIFRACTAL_SHARED to the folder that holds it)"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def zenodo():
    """Folder with the part of the paper's source data that is kept beside the checkout."""
    return shared_file("zenodo")


@pytest.fixture(scope="session")
def airfoil_table():
    """The UCI airfoil self-noise table kept beside the checkout."""
    return shared_file("airfoil_self_noise.dat")


@pytest.fixture(autouse=True, scope="session")
def _only_loopback():
    """Refuse every connection that leaves this machine, in every test."""
    connect = socket.socket.connect

    def guarded(self, address):
        host = address[0] if isinstance(address, tuple) else "127.0.0.1"
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests must not open a connection to {host}")
        return connect(self, address)

    socket.socket.connect = guarded
    yield
    socket.socket.connect = connect
