"""The zoo: small networks of every family that users bring, each with the truth about its loss."""

from importlib.util import find_spec

from tests.helpers.zoo import images, layers, libraries, physics, sequences

ALL = images.ZOO | sequences.ZOO | libraries.ZOO | layers.ZOO | physics.ZOO
ZOO = {name: entry for name, entry in ALL.items() if not entry.needs or find_spec(entry.needs)}
