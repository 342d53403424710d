"""Write the reproduction report: ``python -m multifractal.reproduction`` (results/report.html, 3 minutes on 2 cores).

Stopped at any moment, the same command goes on with the claim it was at.
"""

import argparse


def main(argv=None):
    """Write the page as the flags say; return its findings."""
    flags = argparse.ArgumentParser(
        prog="python -m multifractal.reproduction", description=__doc__.splitlines()[0]
    )
    flags.add_argument("--out", default="results/report.html", help="the page (%(default)s)")
    flags.add_argument("--surfaces", type=int, default=30, metavar="N", help="(%(default)s)")
    flags.add_argument(
        "--size", type=int, default=1024, metavar="PIXELS", help="of a surface's side (%(default)s)"
    )
    flags.add_argument(
        "--effort",
        type=float,
        default=1.0,
        help="below 1: fewer walkers, trials and rates (%(default)s)",
    )
    flags.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    asked = flags.parse_args(argv)
    import matplotlib

    matplotlib.use("agg")
    from multifractal.reproduction.page import report
    from multifractal.reproduction.study import Study

    return report(
        Study(n_surfaces=asked.surfaces, size=asked.size, seed=asked.seed, effort=asked.effort),
        asked.out,
    )


if __name__ == "__main__":
    main()
