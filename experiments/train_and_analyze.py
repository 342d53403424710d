"""Train a network and look at the loss around it: its Hessian, two lines, to its start and in a random direction, and a plane.

    python experiments/train_and_analyze.py

trains a 3072-512-256-10 perceptron on a synthetic set for ten epochs (some 40 s of processor time) and leaves in
experiments/outputs: model.pth (the state dict of the best epoch; model.json says which), hessian.png, interp_1d.png (towards the
start), random_1d.png (random, filter-normalised), contour_2d.png, and the numbers behind each as .npz. The images are made, or
looked for, by experiments/data_preparation.py. Stopped at any moment, the same command with --resume goes on where it
was. On CIFAR-10:

    python experiments/train_and_analyze.py --dataset cifar10 --model resnet20 --data_root data --save_dir results/resnet20
"""

import argparse

from multifractal.base.command import Parser, as_command, can_go_on

_WEIGHT_DECAY = 5e-4
_N_EIGENVALUES = 5


def parser():
    """Return the command line's parser."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = flags.add_argument
    add("--model", default="mlp", choices=("mlp", "resnet20"), help="(%(default)s)")
    add(
        "--dataset",
        default="synthetic",
        choices=("synthetic", "cifar10", "digits"),
        help="(%(default)s)",
    )
    add("--epochs", default=10, type=int, metavar="N", help="(%(default)s)")
    add("--batch_size", default=128, type=int, metavar="N", help="images a step (%(default)s)")
    add(
        "--lr",
        default=0.1,
        type=float,
        help="learning rate of SGD with momentum 0.9, weight decay 5e-4 and a cosine "
        "schedule (%(default)s)",
    )
    add(
        "--num_workers",
        default=0,
        type=int,
        metavar="N",
        help="processes that map the plane; 0 is this one; images are in "
        "memory and need none (%(default)s)",
    )
    add(
        "--analysis_samples",
        default=512,
        type=int,
        metavar="N",
        help="training images that losses are taken on (%(default)s)",
    )
    add(
        "--hessian_iters",
        default=20,
        type=int,
        metavar="N",
        help="Lanczos steps of the density; the largest eigenvalues take up to five times as many "
        "products, until they converge (%(default)s)",
    )
    add(
        "--data_root",
        default="data",
        metavar="FOLDER",
        help="where CIFAR-10 is looked for (%(default)s)",
    )
    add("--download_data", action="store_true", help="fetch it where it is not there")
    add("--save_dir", default="experiments/outputs", metavar="FOLDER", help="(%(default)s)")
    can_go_on(flags)
    add(
        "--seed",
        default=0,
        type=int,
        help="of weights, order of images and directions (%(default)s)",
    )
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="(%(default)s)")
    return flags


def main(argv=None):
    """Train and analyse as the flags say; return the `Experiment`."""
    flags = parser().parse_args(argv)
    from landscape_viz.studies.experiment import Experiment, device_named, subject

    device = device_named(flags.device)
    chosen = subject(
        flags.dataset,
        flags.model,
        seed=flags.seed,
        data_root=flags.data_root,
        download=flags.download_data,
    )
    own = ("save_dir", "resume", "overwrite", "data_root", "download_data", "num_workers", "device")
    settings = {name: value for name, value in vars(flags).items() if name not in own}
    experiment = Experiment.asked("--save_dir", flags.save_dir, settings, flags)
    print(f"{chosen.data}\noutput: {experiment.folder}", flush=True)
    trained = experiment.trained(
        chosen,
        epochs=flags.epochs,
        batch_size=flags.batch_size,
        optimizer="momentum",
        learning_rate=flags.lr,
        weight_decay=_WEIGHT_DECAY,
        schedule="cosine",
        rng=flags.seed,
        device=device,
    )
    show_training(trained)
    kind = {"batch_norm": "recalibrate"} if flags.model == "resnet20" else {}
    analyse_hessian(
        experiment, chosen.problem(trained.state, flags.analysis_samples), flags, device
    )
    draw_sections(
        experiment,
        chosen.problem(trained.state, flags.analysis_samples, **kind),
        trained,
        flags,
        device,
    )
    print(f"output: {experiment.folder}")
    return experiment


def show_training(trained):
    """Print the history and the best epoch."""
    run = trained.run
    columns = run.train_loss, run.train_accuracy, run.test_loss, run.test_accuracy
    for epoch, (train, trained_right, test, right) in enumerate(zip(*columns, strict=True), 1):
        print(
            f"epoch {epoch}: training loss {train:.4f}, training accuracy {trained_right:.1%}, test loss {test:.4f}, "
            f"test accuracy {right:.1%}"
        )
    print(
        f"best: epoch {trained.best_epoch} with {trained.best_accuracy:.1%} (chosen on the test images), in model.pth"
    )


def analyse_hessian(experiment, problem, flags, device):
    """Write and draw the largest eigenvalues of the Hessian and its spectral density."""
    from landscape_viz import (
        Eigenpairs,
        HessianOperator,
        SpectralDensity,
        spectral_density,
        top_eigenpairs,
    )
    from landscape_viz.figures import summaries

    operator = HessianOperator(problem, device=device)
    pairs = experiment.result(
        "hessian",
        Eigenpairs,
        lambda: top_eigenpairs(
            operator,
            min(_N_EIGENVALUES, flags.hessian_iters),
            rng=flags.seed,
            max_products=_N_EIGENVALUES * flags.hessian_iters,
        ),
    )
    density = experiment.result(
        "hessian_density",
        SpectralDensity,
        lambda: spectral_density(operator, n_probes=3, n_steps=flags.hessian_iters, rng=flags.seed),
    )
    experiment.picture("hessian", summaries.hessian(pairs, density))
    print(
        f"largest Hessian eigenvalue: {pairs.values[0]:.4g}, residual {pairs.residuals[0]:.1g}"
        f"{'' if pairs.converged else f'; not all {len(pairs.values)} have converged: raise --hessian_iters'}",
        flush=True,
    )


def draw_sections(experiment, problem, trained, flags, device):
    """Write and draw the lines to the initial weights and in a random direction, and a plane of two random directions."""
    from landscape_viz import Section, checkpoint, directions, figures, section
    from multifractal.base.chunks import workers

    start = directions.toward(problem, checkpoint.load(trained.checkpoints[0]).state_dict)
    start.labels[:] = ["0: trained, 1: initial weights"]
    line = experiment.result(
        "interp_1d", Section, lambda: section(problem, start, ["-0.5:1.5:41"], device=device)
    )
    experiment.picture("interp_1d", figures.line(line))
    plane = directions.random(problem, 2, rng=flags.seed)
    one = directions.random(problem, 1, rng=flags.seed)
    line = experiment.result(
        "random_1d", Section, lambda: section(problem, one, ["-1:2:61"], device=device)
    )
    experiment.picture("random_1d", figures.line(line))
    with workers(flags.num_workers) as executor:
        contour = experiment.result(
            "contour_2d",
            Section,
            lambda: section(
                problem,
                plane,
                ["-1:1:25", "-1:1:25"],
                device=device,
                executor=executor,
                path=experiment.path("contour_2d.store"),
                resume=True,
            ),
        )
    # what a stopped section goes on from
    experiment.path("contour_2d.store").unlink(missing_ok=True)
    experiment.picture("contour_2d", figures.contour(contour, clip=10))


if __name__ == "__main__":
    raise SystemExit(
        as_command(main, "train_and_analyze.py", again="the same command with --resume")
    )
