"""The loss around a trained network by one object, and a comparison of architectures as a script.

    from loss_landscape_analysis import LossLandscapeAnalyzer

    python loss_landscape_analysis.py --dataset digits

The class is `landscape_viz.LossLandscapeAnalyzer`; the script is `experiments/compare_architectures.py`, with its flags: it trains a
shallow, a deep, a residual and a dense network on handwritten digits from three seeds, in about a minute on two cores.
"""

from landscape_viz import Analysis, LossLandscapeAnalyzer

__all__ = ["Analysis", "LossLandscapeAnalyzer", "main"]


def main(argv=None):
    """Compare architectures as the flags say; return the table."""
    from experiments.compare_architectures import main as compare

    return compare(argv)


if __name__ == "__main__":
    from multifractal.base.command import as_command

    raise SystemExit(as_command(main, "loss_landscape_analysis.py", again="the same command"))
