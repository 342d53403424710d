"""The command `multifractal`, or `python -m multifractal`: a first look, the paper's claims judged, its data, its training run."""

import argparse
import importlib
import sys

from multifractal.base.command import Parser, as_command

_LAGS = [1, 2, 4, 8, 16, 32, 64]  # steps, in the demo

COMMANDS = {
    "demo": "draw a surface with a walk on it, and measure how fast the walk spreads (seconds)",
    "report": "measure each claim of the paper anew and judge it: results/report.html (minutes)",
    "train": "the paper's supplementary experiment: full-batch descent of a small network (extra: training)",
    "fetch": "download the paper's source data (extra: fetch)",
    "list": "say which of the paper's source data are here",
    "verify": "check each of the paper's source data that is here",
    "accept": "take a file as one of the paper's source data",
}


_ELSEWHERE = {
    "report": "multifractal.reproduction.__main__",
    "train": "multifractal.training.__main__",
}


def main(argv=None):
    """Run one command with the flags that follow it; return the exit status. Without a command, say what there is."""
    words = list(sys.argv[1:] if argv is None else argv)
    flags = Parser(
        prog="multifractal",
        description="Multifractal loss landscapes. Each command has --help.",
        epilog="As a library: import multifractal as mf; help(mf). For networks: landscape --help.",
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = flags.add_subparsers(dest="command", metavar="command")
    for name, what in COMMANDS.items():
        commands.add_parser(name, help=what, add_help=False)
    if not words or words[0] in ("-h", "--help"):
        flags.print_help()
        return 0
    asked, rest = flags.parse_known_args(words[:1])[0], words[1:]
    return as_command(lambda: _done(asked.command, rest), f"multifractal {asked.command}")


def _done(command, words):
    """Do what a command stands for, loading what it needs; return its exit status."""
    if command == "demo":
        return _demo(words)
    if command in _ELSEWHERE:
        return importlib.import_module(_ELSEWHERE[command]).command(words)
    return importlib.import_module("multifractal.source_data.__main__").command([command, *words])


def _demo(argv):
    """Draw a surface with a walk on it, print its diffusion exponents, and say where the picture is."""
    flags = Parser(prog="multifractal demo", description=_demo.__doc__)
    flags.add_argument("--folder", default="results", help="for the picture (%(default)s)")
    flags.add_argument("--size", type=int, default=256, help="pixels a side (%(default)s)")
    flags.add_argument("--steps", type=int, default=5000, help="of descent (%(default)s)")
    flags.add_argument("--rng", type=int, default=0, help="(%(default)s)")
    asked = flags.parse_args(argv)
    from multifractal.base.checks import whole_number

    whole_number("--size", asked.size, 4)
    whole_number("--steps", asked.steps, _LAGS[-1] + 1)
    whole_number("--rng", asked.rng, 0)
    import matplotlib

    matplotlib.use("agg")
    import multifractal as mf

    surface = mf.mbm_surface(mf.paper_hoelder_map(asked.size), rng=asked.rng)
    start = mf.start_near_maximum(surface, asked.rng)
    walk = mf.descend(surface, start, learning_rate=1000, n_steps=asked.steps)
    window = asked.steps - _LAGS[-1]
    moved = mf.tamsd(walk.unfolded, waiting_times=[0], lag_times=_LAGS, window=window)
    axes = mf.figures.surface_with_walk(surface, walk)
    mf.figures.save_figure(axes, asked.folder, "demo", positions=walk.positions)
    exponent = moved.exponent((_LAGS[0], _LAGS[-1])).exponent
    print(
        f"{asked.steps} steps of descent at learning rate 1000 on a surface of {asked.size} pixels a side:"
    )
    print(f"TAMSD grows as lag^{exponent:.2f} over lags of 1 to 64 steps")
    print(f"picture: {asked.folder}/demo.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
