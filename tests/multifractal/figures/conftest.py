"""Every figure that these tests draw is as it was approved."""

import pytest


@pytest.fixture(autouse=True)
def _as_approved(drawn):
    """Compare what each test draws."""
