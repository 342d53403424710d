"""The loss around a trained network by one object, and a comparison of architectures as a script.

    from loss_landscape_analysis import LossLandscapeAnalyzer

    python loss_landscape_analysis.py --dataset digits

The class is `landscape_viz.LossLandscapeAnalyzer`; the script is the command `landscape compare`, with its flags: it trains a
shallow, a deep, a residual and a dense network on handwritten digits from three seeds, in some 40 s.
"""

from multifractal.base.command import at_the_shell

at_the_shell(__name__)

from landscape_viz import Analysis, LossLandscapeAnalyzer
from landscape_viz.studies.comparison_command import command, main

__all__ = ["Analysis", "LossLandscapeAnalyzer", "main"]

if __name__ == "__main__":
    raise SystemExit(command(name="loss_landscape_analysis.py"))
