"""The flags of `LL_visualisation.py`, group by group; docs/from_plot_surface.md sets those of plot_surface.py beside them."""

import argparse

from multifractal.base.command import Parser

MOST_WORKERS = 8  # each holds a few copies of the network (our choice)
_YES_OR_NO = {"choices": ("y", "n")}
_NORMS = {"choices": ("filter", "layer", "model", "weight", "none")}
_IGNORED = {"choices": ("biasbn", "none")}


def parser(description):
    """Return the command line's parser."""
    flags = Parser(
        prog="landscape visualise",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, add in (
        ("network, data and loss", _subject),
        ("training", _training),
        ("section", _section),
        ("directions", _directions),
        ("pictures", _pictures),
        ("run", _run),
    ):
        add(flags.add_argument_group(name).add_argument)
    # what a notebook passes to a script; published, and unused
    flags.add_argument("--f", "-f", help=argparse.SUPPRESS)
    return flags


def _subject(add):
    add(
        "--dataset",
        default="digits",
        help="digits | fashionmnist | cifar10 | mnist | synthetic (default: %(default)s)",
    )
    add("--data", metavar="MODULE:FUNCTION", help="your own data: (inputs, targets), or two such")
    add("--data_root", default="data", help="folder of the data sets' files (%(default)s)")
    add("--download_data", action="store_true", help="fetch a data set that is not there")
    add(
        "--model",
        "-m",
        default="resnet20",
        help="vgg (VGG-13 for 28x28 images, VGG-16 for 32x32), resnet (ResNet-18), resnet20, resnet56, resnet56_noshort, vgg9, "
        "densenet121, mlp ... or your own module:factory (%(default)s)",
    )
    add(
        "--no_drop",
        default="n",
        **_YES_OR_NO,
        help="leave dropout of vgg and mlp out (%(default)s)",
    )
    add(
        "--loss",
        "--loss_name",
        "-l",
        default="cross_entropy",
        help="cross_entropy | mse | softmax_mse (mse of plot_surface.py) | module:function (%(default)s)",
    )


def _training(add):
    add(
        "--optimizer",
        default="adam",
        choices=("sgd", "adam", "momentum", "nesterov"),
        help="(%(default)s)",
    )
    add("--epochs", default=1, type=int, metavar="N", help="number of epochs in all (%(default)s)")
    add("--batch_size", default=64, type=int, help="images a step (%(default)s)")
    add("--save_every", "--save_epoch", default=1, type=int, metavar="N", help="(%(default)s)")
    add("--learning_rate", "--lr", type=float, help="(.001; with momentum .01)")
    add("--momentum", type=float, help="of sgd and momentum (0; with momentum .9)")
    add("--weight_decay", type=float, default=0.0, help="(%(default)s)")
    add(
        "--schedule",
        default="constant",
        choices=("constant", "cosine", "steps"),
        help="of the learning rate (%(default)s); steps: times --lr_decay after each of --milestones",
    )
    add("--lr_decay", type=float, default=0.1, help="of --schedule steps (%(default)s)")
    add(
        "--milestones",
        type=int,
        nargs="+",
        default=[150, 225, 275],
        metavar="EPOCH",
        help="of --schedule steps (%(default)s)",
    )
    add(
        "--load_model",
        "--model_file",
        metavar="FILE",
        help="map this checkpoint instead of training",
    )
    for number, axis in ((2, "first"), (3, "second")):
        add(
            f"--load_model{number}",
            f"--model_file{number}",
            metavar="FILE",
            help=f"the {axis} direction leads to this checkpoint, at coordinate 1",
        )


def _section(add):
    add("--visualize", default="n", **_YES_OR_NO, help="map a section of the loss (%(default)s)")
    add("--interpolate", default="linear", choices=("linear",), help="(%(default)s)")
    for axis, which in (("--x", "first"), ("--y", "second")):
        none = "" if axis == "--x" else "; none: a line"
        add(
            axis,
            default="-2.4:2.4:51",
            metavar="MIN:MAX:NUM",
            help=f"coordinates along the {which} direction (%(default)s){none}",
        )
    add("--split", default="train", choices=("train", "test"), help="whose loss (%(default)s)")
    add(
        "--n_samples",
        metavar="N",
        help="images of the loss, drawn once, or all (as many as --batch_size, in one batch)",
    )
    add(
        "--train_mode",
        default="n",
        **_YES_OR_NO,
        help="BatchNorm by the statistics of the batch and live dropout, as published (%(default)s: as evaluated)",
    )
    add(
        "--map_dropout",
        choices=("off", "fixed", "live"),
        help="no dropout, one mask for all points, or a new mask at each (off; with --train_mode y live, where the network "
        "has dropout)",
    )
    add("--shuffle", default="n", **_YES_OR_NO, help="random labels on the images (%(default)s)")
    add(
        "--eigenvalues",
        default="n",
        **_YES_OR_NO,
        help="map the Hessian's largest and smallest eigenvalue too (%(default)s)",
    )


def _directions(add):
    add("--norm", default="filter", **_NORMS, help="of random directions (%(default)s)")
    add("--ignore", default="biasbn", **_IGNORED, help="biases and norms stay (%(default)s)")
    for axis in "xy":
        add(f"--{axis}norm", **_NORMS, help=f"of the {axis} direction alone (as --norm)")
        add(f"--{axis}ignore", **_IGNORED, help=f"of the {axis} direction alone (as --ignore)")
    add(
        "--dir_type",
        default="weights",
        choices=("weights", "states"),
        help="states: running statistics of BatchNorm move too (%(default)s)",
    )
    add(
        "--dir_file",
        metavar="FILE",
        help=".npz or .h5: take the directions from there, or write them where there is no such file",
    )
    add(
        "--trajectory",
        default="n",
        **_YES_OR_NO,
        help="map the plane of the run's two principal directions and draw the run over it, from the checkpoints in --out "
        "or --model_folder (%(default)s)",
    )
    add("--model_folder", metavar="FOLDER", help="of the run's checkpoints, ours or model_N.t7")


def _pictures(add):
    add("--vmin", type=float, help="lowest contour (the least loss)")
    add("--vmax", type=float, help="highest contour (10 above the least loss, as published)")
    add("--vlevel", type=float, help="contours that far apart")
    add("--log", action="store_true", help="the loss on a logarithmic scale")
    add("--loss_max", type=float, help="top of a line's picture")
    add("--html", default="y", nargs="?", const="y", **_YES_OR_NO, help="a page too (%(default)s)")
    add("--vtk", default="n", **_YES_OR_NO, help="section.vtp or .vti for ParaView (%(default)s)")
    add("--surf_file", metavar="FILE.h5", help="write the surface as plot_surface.py does (h5py)")
    add("--draw", metavar="FILE", help="only draw this section, .npz or .h5")


def _run(add):
    add("--seed", default=0, type=int, help="of weights, order, masks, images and directions")
    add(
        "--device",
        default="auto",
        choices=("auto", "cpu", "cuda"),
        help="auto takes cuda where there is one (%(default)s)",
    )
    add(
        "--devices",
        nargs="+",
        metavar="DEVICE",
        help="map on several, a process each: cuda:0 cuda:1 (or with commas)",
    )
    add(
        "--mpi",
        action="store_true",
        help="map on the ranks of: mpiexec -n N python -m mpi4py.futures",
    )
    add(
        "--workers",
        type=int,
        metavar="N",
        help=f"processes that map, a thread each (processors, at most {MOST_WORKERS})",
    )
    add("--out", metavar="FOLDER", help="where everything goes (results/MODEL_OPTIMIZER_...)")
    add(
        "--published_layout",
        action="store_true",
        help="write the published names too, in trained_nets/MODEL_OPTIMIZER_...",
    )
    add("--resume", action="store_true", help="go on with what is in the folder")
    add(
        "--any_threads",
        action="store_true",
        help="resume training though torch's number of threads is another: other bits",
    )
    add("--overwrite", action="store_true", help="replace what is in the folder")


def joined(argv):
    """Join --x and --y to their values, which begin with a minus sign and would be taken for flags."""
    found = []
    for word in argv:
        if found and found[-1] in ("--x", "--y"):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def axes(flags):
    """Return the coordinates along one or two directions."""
    asked = [("--x", flags.x)] + ([] if flags.y == "none" else [("--y", flags.y)])
    return [_axis(name, text) for name, text in asked]


def devices(flags):
    """Return the devices that --devices names, apart or with commas, all of them here; None without the flag."""
    from landscape_viz.loss.precision import checked_device

    if flags.devices is None:
        return None
    names = [name for word in flags.devices for name in word.split(",") if name]
    try:
        return [str(checked_device(name)) for name in names]
    except ValueError as error:
        raise ValueError(f"--devices: {error}") from error


def _axis(flag, text):
    from landscape_viz.sections import parse_axis

    try:
        axis = parse_axis(text)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from error
    if len(axis) < 2 or axis[0] == axis[-1]:
        raise ValueError(
            f"{flag} must have two different points at least, got {text!r}; write for example -2.4:2.4:51"
        )
    return axis
