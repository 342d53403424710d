"""The paper's source data (Zenodo, doi 10.5281/zenodo.14997499): find, read, download and verify them.

A file is named by its path in the paper's tree, e.g. ``"multifractional_brownian_surface/TAMSD.mat"`` (`NAMES` lists them).
It is looked for in ``$MULTIFRACTAL_DATA``, then in ``data/`` of the working directory, then in ``data/`` of the checkout.
Nothing here opens a socket, except `fetch`. From a shell: ``python -m multifractal.source_data fetch|list|verify|accept``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
