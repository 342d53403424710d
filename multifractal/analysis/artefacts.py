"""What a camera, a file format or a preprocessing step left in an image that a scaling law takes for structure. All tests are cheap."""

import numpy as np

# Share of neighbours that are exactly alike, above which an image of few values is called quantised. Exact surfaces of 512 x 512
# have 0.12 and 0.37 (H = 0.5 and 0.8) with 256 values, where D of the latter exceeds 2, and 0.67 and 0.90 with 32.
EQUAL_NEIGHBOURS = 0.15
# Pixels that have the image's largest (or smallest) value, as a share and as a number, above which it is called saturated.
SATURATED, SATURATED_PIXELS = 1e-3, 16
# Exponents along rows and columns that differ by more than this, beyond four times their sampling error.
ANISOTROPY = 0.1
# distinct values over values counted, below which they are few (a surface with a flat half has a half), and how many are counted
FEW_VALUES, _COUNTED = 0.1, 2**16


def artefacts_of(values):
    """Return sentences on quantisation and saturation of an image."""
    levels = _levels_if_quantised(values)
    if levels:
        return (
            f"the image is quantised: it takes some {levels} values only, so that neighbours are exactly alike and moments of "
            "negative order measure the rounding; use a finer image, or positive orders only",
        )
    said = []
    for name, end in (("largest", np.nanmax(values)), ("smallest", np.nanmin(values))):
        n = int((values == end).sum())
        if n >= SATURATED_PIXELS and n > SATURATED * values.size:
            said.append(
                f"the image is saturated: {100 * n / values.size:.1f} % of its pixels have its {name} value; where it is "
                "cut off nothing can be measured"
            )
    return tuple(said)


def _levels_if_quantised(values):
    """Return how many values an image takes, if they are few and neighbours often alike, else 0."""
    alike = [(v[1:] == v[:-1]).mean() for v in (values, values.T)]
    if np.mean(alike) <= EQUAL_NEIGHBOURS:
        return 0
    counted = values.ravel()[:: max(values.size // _COUNTED, 1)]
    levels = len(np.unique(counted[np.isfinite(counted)]))
    return levels if levels < FEW_VALUES * len(counted) else 0
