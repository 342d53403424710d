"""Write the reproduction report: ``python -m multifractal.reproduction`` (results/report.html, six and a half minutes of processor time).

Stopped at any moment, it is resumed by the same command at the claim where it stopped; called again, it measures those claims
only whose settings, files or code have changed (the definitions that a measurement reaches; see `multifractal.reproduction.fingerprint`).
"""

from multifractal.base.command import Parser, as_command


def main(argv=None):
    """Write the page as the flags say; return its findings."""
    flags = Parser(prog="multifractal report", description=__doc__.splitlines()[0])
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
        help="keep numbers and verdicts for the pages of docs/; with --only, those of the other claims stay as they are",
    )
    asked = flags.parse_args(argv)
    import matplotlib

    matplotlib.use("agg")
    from multifractal.reproduction.page import claims, report
    from multifractal.reproduction.record import is_of, keep
    from multifractal.reproduction.study import Study

    known = {claim.name: claim for claim in claims()}
    unknown = [name for name in asked.only or () if name not in known]
    if unknown:
        flags.error(f"no claim {unknown[0]!r}; there are {', '.join(known)}")
    study = Study(n_surfaces=asked.surfaces, size=asked.size, seed=asked.seed, effort=asked.effort)
    if asked.only and asked.record and not is_of(asked.record, study):
        flags.error(f"{asked.record} holds no record of this study: leave --only out")
    findings = report(study, asked.out, only=[known[name] for name in asked.only or known])
    if asked.record:
        keep(findings, study, asked.record)
    return findings


def command(argv=None):
    """Run the command; return its exit status."""
    return as_command(lambda: main(argv), "multifractal report", again="the same command")


if __name__ == "__main__":
    raise SystemExit(command())
