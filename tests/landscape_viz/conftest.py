"""Shared by the tests of networks: torch on one thread, since its bits depend on their number."""

import pytest

from landscape_viz.loss.precision import pinned_threads


@pytest.fixture(autouse=True)
def _one_thread():
    """Pin torch to one thread."""
    with pinned_threads(1):
        yield
