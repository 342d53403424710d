"""The paper's source data (Zenodo, doi 10.5281/zenodo.14997499): find, read, download and verify them.

A file is named by its path in the paper's tree, e.g. ``"multifractional_brownian_surface/TAMSD.mat"`` (`NAMES` lists them).
It is looked for in ``$MULTIFRACTAL_DATA``, then in ``data/`` of the working directory, then in ``data/`` of the checkout.
Nothing here opens a socket, except `fetch`. From a shell: ``python -m multifractal.source_data fetch|list|verify``.
"""

from multifractal.source_data._catalogue import NAMES as NAMES
from multifractal.source_data._reading import UnverifiedFileWarning as UnverifiedFileWarning
from multifractal.source_data._reading import available as available
from multifractal.source_data._reading import find as find
from multifractal.source_data._reading import read as read

__all__ = ["NAMES", "UnverifiedFileWarning", "available", "find", "read"]
