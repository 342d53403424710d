"""The command `landscape`, or `python -m landscape_viz`: a network of yours, given as module:factory, and the paper's sections."""

import importlib
import inspect
import os
import sys
from pathlib import Path

from multifractal.base.command import Parser, as_command, can_go_on, refuse_results

WITH_FLAGS_OF_THEIR_OWN = {
    "visualise": (
        "train a network on images and map a section of its loss, as the paper did (LL_visualisation.py)",
        "landscape_viz.studies.surface_command",
    ),
    "compare": (
        "train and compare four architectures of one size (loss_landscape_analysis.py)",
        "landscape_viz.studies.comparison_command",
    ),
}


def parser():
    """Return the command line's parser."""
    flags = Parser(
        prog="landscape",
        description=f"{__doc__} Each command has --help.",
        epilog="As a library: import landscape_viz; help(landscape_viz).",
    )
    commands = flags.add_subparsers(dest="command", required=True, metavar="command")
    for name, what in (
        (
            "report",
            "say whether the loss is rough, smooth or noise at three zooms (fractal_report)",
        ),
        ("section", "map the loss on a random plane: section.npz, section.png, section.html"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        add = command.add_argument
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
        can_go_on(command)
    for name, (what, _) in WITH_FLAGS_OF_THEIR_OWN.items():
        commands.add_parser(name, help=what, add_help=False)
    return flags


def main(argv=None):
    """Run the command line, and return the exit status; modules are also looked for in the present folder."""
    flags, words = parser(), list(sys.argv[1:] if argv is None else argv)
    if not words:
        flags.print_help()
        return 0
    if words[0] in WITH_FLAGS_OF_THEIR_OWN:
        module = WITH_FLAGS_OF_THEIR_OWN[words[0]][1]
        return as_command(
            lambda: importlib.import_module(module).command(words[1:]), f"landscape {words[0]}"
        )
    asked = flags.parse_args(words)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    made = {"report": _report, "section": _section}[asked.command]
    again = "the same command with --resume"
    return as_command(lambda: made(asked), f"landscape {asked.command}", again=again)


def _refuse_arguments(name, value):
    """Raise ValueError where module:function cannot be called without arguments."""
    from landscape_viz.loss.call import importable

    function = importable(name, value)
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise ValueError(
            f"{name} must be a function that is called without arguments, got {value!r} ({error}); "
            "name one of your own that passes them"
        ) from error
    except ValueError:  # a built-in that does not tell
        pass


def _problem(asked):
    from landscape_viz import Problem, checkpoint

    _refuse_arguments("factory", asked.factory)
    _refuse_arguments("--data", asked.data)
    state = None if asked.state is None else checkpoint.load(asked.state)
    state = getattr(state, "state_dict", state)
    return Problem(asked.factory, state, asked.loss, asked.data, rng=asked.rng)


def _report(asked):
    from landscape_viz import fractal_report
    from landscape_viz.loss.batch_loss import made

    folder = Path(asked.folder)
    refuse_results("--folder", folder, folder.glob(f"{asked.command}.*"), asked)
    problem = _problem(asked)
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

    folder = Path(asked.folder)
    refuse_results("--folder", folder, folder.glob(f"{asked.command}.*"), asked)
    problem = _problem(asked)
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
