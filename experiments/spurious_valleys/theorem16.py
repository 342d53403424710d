"""Theorem 16 of Venturi, Bandeira and Bruna: with random hidden weights, descent in the output layer alone gets low.

    python experiments/spurious_valleys/theorem16.py [--outdir outputs_t16]

100 draws of 16 to 2048 random ReLU features fit teachers of 16 000 units by least squares (8000 points, ridge 1e-8). Expect,
in some 3 minutes on 2 cores, errors that fall by about 1/p up to width 128 and ever more slowly beyond, and two reasons why:
8000 samples (more of them help at widths above 512 only), and a teacher whose norm makes the theorem's bound empty there;
and the share of gradient descents that end trapped on theorem 13's data, which falls with the width on given data only.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # so that it also runs as a file

from multifractal.base.command import as_command, at_the_shell

at_the_shell(__name__)

import numpy as np
from threadpoolctl import threadpool_limits

from experiments.spurious_valleys import certificates, kernel_tail, script, valley
from experiments.spurious_valleys import random_features as rf
from experiments.spurious_valleys.mixture import Mixture
from multifractal.base.chunks import map_chunks
from multifractal.base.rng import as_seed_sequence, realisation
from multifractal.base.statistics import percentile_interval

N_INPUTS, TEACHER_UNITS, N_TEST, N_TRAIN = 10, 16_000, 10_000, 8000
SAMPLE_SIZES = (2000, 8000, 32_000)
RIDGE = 1e-8  # our choice: the smallest that keeps the factorisation exact to 1e-10
N_RESAMPLES = 2000
DESCENTS = {"n_runs": 300, "learning_rate": 0.05, "n_steps": 1500}  # of theorem 13's data
GIVEN_INPUTS, GIVEN_WIDTHS, GROWN_WIDTHS = 4, (3, 4, 6, 8, 12), (1, 2, 3, 4, 6)


def main(argv=None):
    """Run the experiment; return its numbers by name."""
    flags = script.parser(__doc__, "theorem16")
    flags.add_argument(
        "--trials",
        type=int,
        default=100,
        help="draws of features and teacher (default: %(default)s)",
    )
    flags.add_argument(
        "--widest",
        type=int,
        default=2048,
        help="the largest width, a power of 2 (default: %(default)s)",
    )
    flags = flags.parse_args(argv)
    folder = script.Folder(flags.out, flags.overwrite)
    widths = half_octaves(flags.widest)
    inputs, teachers, norms = draw_teachers(flags.seed, flags.trials)
    print(f"{flags.trials} trials of {len(widths)} widths, one factorisation each ...")
    errors, by_size = run(flags.seed, widths, inputs, teachers, n_repeated=min(8, flags.trials))
    numbers = summary(widths, errors, by_size, norms, flags.seed)
    numbers["trapped"] = trapped_by_width(flags.seed)
    report(numbers)
    draw(folder, numbers, errors)
    folder.finish(seed=flags.seed, ridge=RIDGE, **numbers)
    return numbers


def half_octaves(widest, narrowest=16):
    """Return 16, 23, 32, 45, ... up to `widest`: every second is a power of two."""
    steps = int(round(2 * np.log2(widest / narrowest)))
    return [round(narrowest * 2 ** (k / 2)) for k in range(steps + 1)]


def draw_teachers(seed, n_trials):
    """Return inputs (points, n), teachers (points, n_trials + 1) and their norms: rough ones, one a trial, and a smooth one.

    A teacher is mean_j a_j relu(<v_j, x> + c_j) over its units, scaled to variance 1; its norm is the root mean square of
    the a_j after scaling. Rough: a_j independent standard normal. Smooth: a_j = sign <v_j, v>, one direction v.
    """
    generator = realisation(seed, 0)
    units = rf.on_sphere(TEACHER_UNITS, N_INPUTS + 1, generator)
    rough = generator.standard_normal((TEACHER_UNITS, n_trials))
    smooth = np.sign(units @ rf.on_sphere(1, N_INPUTS + 1, generator).T)
    inputs = rf.on_sphere(N_TEST + max(SAMPLE_SIZES), N_INPUTS, generator)
    amplitudes = np.hstack([rough, smooth])
    raw = rf.relu_features(inputs[:N_TEST], units) @ amplitudes / TEACHER_UNITS
    norms = np.sqrt(np.mean(amplitudes**2, axis=0)) / raw.std(axis=0)
    return inputs, rf.teacher_values(inputs, units, amplitudes), norms


def run(seed, widths, inputs, teachers, n_repeated):
    """Return errors (trials, widths, 2: rough, smooth) at 8000 samples, and (n_repeated, sizes, widths, 2) at all sizes."""
    n_trials = teachers.shape[1] - 1

    def trial(index, sizes):
        features = rf.on_sphere(widths[-1], N_INPUTS + 1, realisation(seed, 1 + index))
        targets = teachers[:, [index, n_trials]]
        test, train = (inputs[:N_TEST], targets[:N_TEST]), (inputs[N_TEST:], targets[N_TEST:])
        return rf.nested_errors(features, widths, train, test, sample_sizes=sizes, ridge=RIDGE)

    # trials side by side share cores better than one product does
    with threadpool_limits(1, user_api="blas"):
        repeated = np.array(map_chunks(trial, [(i, SAMPLE_SIZES) for i in range(n_repeated)]))
        single = map_chunks(trial, [(i, (N_TRAIN,)) for i in range(n_repeated, n_trials)])
    at_8000 = repeated[:, SAMPLE_SIZES.index(N_TRAIN)]
    return np.concatenate([at_8000, *single]) if single else at_8000, repeated


def trapped_by_width(seed):
    """Return how descents end on given data (n = 4) and on data that grow with the width (n = p + 1), by width."""
    bound = certificates.orthonormal_rim_bound()

    def end(kind, width):
        given = kind == "given"
        return valley.share_trapped(
            Mixture(GIVEN_INPUTS if given else width + 1),
            width,
            # the proved rim is that of p = n - 1 units
            rim_bound=bound if width == GIVEN_INPUTS - 1 or not given else None,
            rng=realisation(seed, 5000 + width + 1000 * given),
            **DESCENTS,
        )

    asked = [("given", w) for w in GIVEN_WIDTHS] + [("grown", w) for w in GROWN_WIDTHS]
    with threadpool_limits(1, user_api="blas"):
        ends = dict(zip(asked, map_chunks(end, asked), strict=True))
    return {
        kind: {width: found for (name, width), found in ends.items() if name == kind}
        for kind in ("given", "grown")
    }


def slopes(widths, errors, seed):
    """Return the slope of log2 of the median error over each octave, and its 95 % interval over resampled trials."""
    octaves = np.log2(errors[:, ::2])
    draws = np.random.default_rng(as_seed_sequence(seed)).integers(
        len(errors), size=(N_RESAMPLES, len(errors))
    )
    resampled = np.diff(np.median(octaves[draws], axis=1), axis=1)
    interval = percentile_interval(resampled)
    return {
        "octaves": [[int(w), int(v)] for w, v in zip(widths[:-2:2], widths[2::2], strict=True)],
        "slopes": np.diff(np.median(octaves, axis=0)),
        "low": interval[0],
        "high": interval[1],
    }


def summary(widths, errors, by_size, norms, seed):
    """Return what is reported and written."""
    return {
        "widths": widths,
        "median_rough": np.median(errors[..., 0], axis=0),
        "median_smooth": np.median(errors[..., 1], axis=0),
        "rough": slopes(widths, errors[..., 0], seed),
        "smooth": slopes(widths, errors[..., 1], seed),
        "sample_sizes": list(SAMPLE_SIZES),
        "median_by_size": np.median(by_size, axis=0),
        "n_trials": len(errors),
        "n_repeated": len(by_size),
        "kernel_tail": kernel_tail.tail(widths, N_INPUTS),
        "norm_rough": float(np.median(norms[:-1])),
        "norm_smooth": float(norms[-1]),
        "feature_mean_square": float(kernel_tail.relu_kernel(1.0, N_INPUTS)),
    }


def report(numbers):
    """Print the slopes, and what varying the sample size and the teacher shows."""
    found = numbers["rough"]
    print(
        f"slope of the median error per octave of width, {numbers['n_trials']} trials, {N_TRAIN} samples (1/p is -1):"
    )
    for (narrow, wide), slope, low, high in zip(
        found["octaves"], found["slopes"], found["low"], found["high"], strict=True
    ):
        print(f"  {narrow:5d} -> {wide:<5d} {slope:6.2f}  [{low:.2f}, {high:.2f}]")
    widest = numbers["median_by_size"][:, ::2, 0]
    for size, row in zip(numbers["sample_sizes"], widest, strict=True):
        print(
            f"  {size} samples: slopes {np.round(np.diff(np.log2(row)), 2)} ({numbers['n_repeated']} trials)"
        )
    print(
        f"  smooth teacher (norm {numbers['norm_smooth']:.3g} instead of {numbers['norm_rough']:.3g}): slopes "
        f"{np.round(numbers['smooth']['slopes'], 2)}"
    )
    bound = numbers["norm_rough"] ** 2 * numbers["feature_mean_square"]
    print(
        f"  the bound norm^2 E relu^2 / p says less than 1, the error of a constant, only from width {bound:.0f} on"
    )

    print("descents of both layers on theorem 13's data: shares of runs, 95 % intervals")
    for kind, title in (("given", "4 inputs, any width"), ("grown", "n = p + 1 inputs")):
        for width, found in numbers["trapped"][kind].items():
            end = found["above_floor"] if found["trapped"] is None else found["trapped"]
            print(
                f"  {title}, p = {width:2d}: {'at or above the floor' if found['trapped'] is None else 'trapped for good'} "
                f"{end[0]:.3f} [{end[1]:.3f}, {end[2]:.3f}]; starts in the cone {found['in_cone'][0]:.3f} (2^-p = "
                f"{0.5**width:.4f}); median end {found['median_end']:.3g}, output layer alone "
                f"{found['median_output_only']:.3g}"
            )


def draw(folder, numbers, errors):
    """Write the figures."""
    from experiments.spurious_valleys import theorem16_figures as chapter

    folder.figure(
        chapter.errors(numbers, errors), "errors", widths=numbers["widths"], errors=errors
    )
    folder.figure(
        chapter.octaves(numbers, errors),
        "octaves",
        widths=numbers["widths"][::2],
        errors=errors[:, ::2],
    )
    folder.figure(
        chapter.trapped(numbers["trapped"]),
        "trapped",
        given=[found["above_floor"] for found in numbers["trapped"]["given"].values()],
        grown=[found["trapped"] for found in numbers["trapped"]["grown"].values()],
    )
    folder.figure(
        chapter.causes(numbers),
        "causes",
        widths=numbers["widths"],
        by_size=numbers["median_by_size"],
        kernel_tail=numbers["kernel_tail"],
    )


if __name__ == "__main__":
    raise SystemExit(as_command(main, "theorem16.py"))
