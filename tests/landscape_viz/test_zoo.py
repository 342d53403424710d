"""The zoo in the fast suite: every network under three probes, every probe on five networks; `make zoo` runs all of them."""

import pytest

from tests.helpers.zoo import ZOO
from tests.helpers.zoo.probes import PROBES, Subject, cell

FEW = ("MLP", "GPT with tied weights", "BatchNorm on the batch", "frozen backbone", "physics ODE")
LONG = ("fractal_report",)  # 38 000 evaluations


@pytest.fixture(scope="module")
def subjects():
    """Return the entries, each with its problem and truth made once."""
    return {name: Subject(entry) for name, entry in ZOO.items()}


@pytest.mark.parametrize("probe", ["loss", "gradient", "sections"])
@pytest.mark.parametrize("name", ZOO)
def test_every_network(name, probe, subjects):
    """Loss, gradient and sections are those of brute force in float64, or refused in the words that are expected."""
    cell(subjects[name], probe)


@pytest.mark.parametrize("probe", [probe for probe in PROBES if probe not in LONG])
@pytest.mark.parametrize("name", FEW)
def test_every_probe(name, probe, subjects):
    """Each probe agrees with brute force on five networks that have little in common."""
    cell(subjects[name], probe)


def test_the_zoo_is_large():
    """At least forty networks are kept, and each is refused by name or has a truth."""
    from tests.helpers.zoo import ALL

    assert len(ALL) >= 40
    assert len(PROBES) == 14
    assert all(entry.truth or "all" in entry.refused for entry in ALL.values())
