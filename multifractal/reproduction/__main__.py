"""Write the reproduction report: ``python -m multifractal.reproduction`` (results/report.html, 3 minutes on 2 cores).

Stopped at any moment, it is resumed by the same command at the claim where it stopped.
"""

import argparse
import sys


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
    flags.add_argument("--only", nargs="+", metavar="CLAIM", help="names of claims; default: all")
    flags.add_argument(
        "--record",
        metavar="JSON",
        help="keep numbers and verdicts of all claims for the pages of docs/",
    )
    asked = flags.parse_args(argv)
    if asked.only and asked.record:
        flags.error("--record keeps all claims: leave --only out")
    import matplotlib

    matplotlib.use("agg")
    from multifractal.reproduction.page import claims, report
    from multifractal.reproduction.record import keep
    from multifractal.reproduction.study import Study

    known = {claim.name: claim for claim in claims()}
    unknown = [name for name in asked.only or () if name not in known]
    if unknown:
        flags.error(f"no claim {unknown[0]!r}; there are {', '.join(known)}")
    study = Study(n_surfaces=asked.surfaces, size=asked.size, seed=asked.seed, effort=asked.effort)
    findings = report(study, asked.out, only=[known[name] for name in asked.only or known])
    if asked.record:
        keep(findings, study, asked.record)
    return findings


def command(argv=None):
    """Run `multifractal demo | report | fetch`: a first look, the claims judged, the paper's data; return the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    flags = argparse.ArgumentParser(
        prog="multifractal", description=command.__doc__, add_help=False
    )
    flags.add_argument("command", choices=("demo", "report", "fetch"), nargs="?")
    asked, rest = flags.parse_known_args(words)
    if asked.command == "report":
        main(rest)
        return 0
    if asked.command == "fetch":
        from multifractal.source_data.__main__ import main as source_data

        return source_data(["fetch", *rest])
    if asked.command == "demo":
        return _demo(rest)
    flags.print_help()
    return 0 if "--help" in words or "-h" in words else 2


def _demo(argv):
    """Draw a surface with a walk on it, print its diffusion exponents, and say where the picture is."""
    flags = argparse.ArgumentParser(prog="multifractal demo", description=_demo.__doc__)
    flags.add_argument("--folder", default="results", help="for the picture (%(default)s)")
    flags.add_argument("--size", type=int, default=256, help="pixels a side (%(default)s)")
    flags.add_argument("--steps", type=int, default=5000, help="of descent (%(default)s)")
    flags.add_argument("--rng", type=int, default=0, help="(%(default)s)")
    asked = flags.parse_args(argv)
    import matplotlib

    matplotlib.use("agg")
    import multifractal as mf

    surface = mf.mbm_surface(mf.paper_hoelder_map(asked.size), rng=asked.rng)
    start = mf.start_near_maximum(surface, asked.rng)
    walk = mf.descend(surface, start, learning_rate=1000, n_steps=asked.steps)
    lags = [1, 2, 4, 8, 16, 32, 64]
    window = asked.steps - 64
    moved = mf.tamsd(walk.unfolded, waiting_times=[0], lag_times=lags, window=window)
    axes = mf.figures.surface_with_walk(surface, walk)
    mf.figures.save_figure(axes, asked.folder, "demo", positions=walk.positions)
    exponent = moved.exponent((1, 64)).exponent
    print(
        f"{asked.steps} steps of descent at learning rate 1000 on a surface of {asked.size} pixels a side:"
    )
    print(f"TAMSD grows as lag^{exponent:.2f} over lags of 1 to 64 steps")
    print(f"picture: {asked.folder}/demo.png")
    return 0


if __name__ == "__main__":
    main()
