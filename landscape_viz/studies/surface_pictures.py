"""Pictures and pages of `LL_visualisation.py`, by its flags --vmin --vmax --vlevel --log --loss_max."""

import matplotlib.pyplot as plt
import numpy as np

from landscape_viz import Section, figures
from landscape_viz.figures import page
from multifractal.base.checks import require
from multifractal.base.files import atomic_write

_CLIP = 10  # above the minimum, for display only (paper)


def drawn_again(flags, out):
    """Draw the section in the file --draw; return it."""
    found = (
        Section.load(flags.draw)
        if str(flags.draw).endswith(".npz")
        else Section.from_h5(flags.draw, split=flags.split)
    )
    for what, path in draw(found, flags, out, replace=flags.overwrite).items():
        print(f"{what + ':':11} {path}")
    return found


def draw(found, flags, out, *, replace):
    """Write section.png, eigenvalues.png and section.html, whichever apply; return {what: path}."""
    if found.n_not_finite == found.status.size:
        return {}
    written = {"picture": out / "section.png"}
    _write(written["picture"], _picture(found, flags), replace)
    if "largest_eigenvalue" in found.metrics and len(found.axes) == 2:
        written["spectrum"] = out / "eigenvalues.png"
        _write(written["spectrum"], figures.eigenvalues(found), replace)
    if flags.html == "y" and len(found.axes) == 2:
        written["page"] = out / "section.html"
        page.write_page(found, written["page"], clip=_clip(found, flags), overwrite=replace)
    return written


def draw_run(path, found, out, replace):
    """Write trajectory.png, a run over the section of its plane; return {what: path}."""
    file = out / "trajectory.png"
    _write(file, figures.trajectory(path, found, clip=_CLIP), replace)
    return {"run": file}


def _picture(found, flags):
    if len(found.axes) == 1:
        return figures.line(found, top=flags.loss_max, log=flags.log)
    how = {"clip": _clip(found, flags), "levels": levels(found, flags), "log": flags.log}
    return figures.overview(found, **how)


def levels(found, flags):
    """Return the contours that --vmin, --vmax and --vlevel ask for; None without --vlevel and --vmin."""
    if flags.vlevel is None and flags.vmin is None:
        return None
    least = float(
        np.nanmin(np.where(np.isfinite(found.values["loss"]), found.values["loss"], np.nan))
    )
    low = least if flags.vmin is None else flags.vmin
    high = least + _CLIP if flags.vmax is None else flags.vmax
    step = (high - low) / 20 if flags.vlevel is None else flags.vlevel
    require(
        high > low and 0 < step <= high - low,
        "--vlevel",
        (low, high, step),
        "leave two contours at least between --vmin and --vmax",
        "pass for example --vmin 0.1 --vmax 10 --vlevel 0.5",
    )
    return np.arange(low, high + step / 2, step)


def _clip(found, flags):
    """Return how far above the least loss colours go."""
    if flags.vmax is None:
        return _CLIP
    values = found.values["loss"][np.isfinite(found.values["loss"])]
    clip = flags.vmax - values.min()
    require(
        clip > 0, "--vmax", flags.vmax, f"be above the least loss, {values.min():.4g}", "raise it"
    )
    return float(clip)


def _write(path, axes, replace):
    figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
    with atomic_write(path, overwrite=replace) as file:
        figure.savefig(file, format="png", dpi=200, bbox_inches="tight")
    plt.close(figure)
