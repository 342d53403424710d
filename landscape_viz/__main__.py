"""`landscape report` and `landscape section`: a network of yours from a shell, given as module:factory."""

import os
import sys
from pathlib import Path

from multifractal.base.command import Parser, as_command


def parser():
    """Return the command line's parser."""
    flags = Parser(prog="landscape", description=__doc__)
    commands = flags.add_subparsers(dest="command", required=True)
    for name, what in (
        (
            "report",
            "say whether the loss is rough, smooth or noise at three zooms (fractal_report)",
        ),
        ("section", "map the loss on a random plane: section.npz, section.png, section.html"),
    ):
        add = commands.add_parser(name, help=what, description=what).add_argument
        add("factory", help="module:function that makes the network without arguments")
        add(
            "--data",
            required=True,
            metavar="MODULE:FUNCTION",
            help="gives (inputs, targets) or a loader",
        )
        add(
            "--state",
            metavar="FILE",
            help="weights, a state_dict or a checkpoint (the factory's own)",
        )
        add(
            "--loss",
            default="cross_entropy",
            help="cross_entropy | mse | module:function (%(default)s)",
        )
        add("--folder", default="landscape", help="for what is written (%(default)s)")
        add("--points", type=int, default=129 if name == "report" else 51, help="(%(default)s)")
        add("--half_width", type=float, default=1.0, help="in norms of the filters (%(default)s)")
        add("--device", default="cpu", help="where the network runs (%(default)s)")
        add("--rng", type=int, default=0, help="of the plane (%(default)s)")
        add("--overwrite", action="store_true", help="begin anew")
    return flags


def main(argv=None):
    """Run the command line, and return the exit status; modules are also looked for in the present folder."""
    flags = parser()
    if not (sys.argv[1:] if argv is None else argv):
        flags.print_help()
        return 0
    asked = flags.parse_args(argv)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    made = {"report": _report, "section": _section}[asked.command]
    return as_command(lambda: made(asked), f"landscape {asked.command}", again="the same command")


def _problem(asked):
    from landscape_viz import Problem, checkpoint

    state = None if asked.state is None else checkpoint.load(asked.state)
    state = getattr(state, "state_dict", state)
    return Problem(asked.factory, state, asked.loss, asked.data, rng=asked.rng)


def _report(asked):
    from landscape_viz import fractal_report
    from landscape_viz.loss.batch_loss import made

    problem, folder = _problem(asked), Path(asked.folder)
    report = fractal_report(
        problem.build(),
        problem.load(),
        made(problem.loss),
        half_width=asked.half_width,
        n_points=asked.points,
        rng=asked.rng,
        device=asked.device,
        folder=folder,
        overwrite=asked.overwrite,
    )
    report.save(folder / "report.npz", overwrite=True)
    print(report)


def _section(asked):
    import matplotlib

    matplotlib.use("agg")
    from landscape_viz import directions, figures, section
    from landscape_viz.figures import page

    problem, folder = _problem(asked), Path(asked.folder)
    folder.mkdir(parents=True, exist_ok=True)
    axis = f"{-asked.half_width!r}:{asked.half_width!r}:{asked.points}"
    plane = directions.random(problem, 2, rng=asked.rng)
    store = folder / "section.store"
    result = section(
        problem,
        plane,
        [axis, axis],
        device=asked.device,
        path=store,
        resume=not asked.overwrite,
        overwrite=asked.overwrite,
    )
    figures.save_figure(figures.overview(result), folder, "section", loss=result.values["loss"])
    result.save(folder / "section.npz", overwrite=True)
    page.write_page(result, folder / "section.html", overwrite=True)
    print(result)
    print(f"in {folder}: section.npz, section.png, section.html")


if __name__ == "__main__":
    raise SystemExit(main())
