"""What can be drawn in one line: `thing.plot()`, and the picture that a notebook shows of it."""

from __future__ import annotations

import base64
import importlib
import io
from typing import TYPE_CHECKING, Any, ClassVar
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from multifractal.base.types import Array

_DOTS_PER_INCH = 80


class Pictured:
    """A class with a figure of its own, named as "package.module:function" so that matplotlib is loaded when it is drawn."""

    _figure: ClassVar[str]

    def plot(self, **settings: Any) -> Axes | Array:
        """Draw this in one picture.

        Parameters
        ----------
        **settings
            What the figure function of its kind takes: `ax` or `axes` to draw into, for instance.

        Returns
        -------
        Axes, or array of Axes
        """
        module, _, name = self._figure.partition(":")
        return getattr(importlib.import_module(module), name)(self, **settings)

    def _repr_html_(self) -> str:
        """Show its words and its picture in a notebook; the words alone where the picture cannot be drawn."""
        words = f"<pre>{escape(repr(self))}</pre>"
        try:
            return words + f'<img alt="" src="data:image/png;base64,{_png(self.plot())}">'
        except Exception as error:  # a cell must not fail for the sake of a picture
            return words + f"<p>not drawn: {escape(str(error))}</p>"


def _png(axes: Any) -> str:
    import matplotlib.pyplot as plt
    import numpy as np

    figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=_DOTS_PER_INCH)
    plt.close(figure)
    return base64.b64encode(written.getvalue()).decode()
