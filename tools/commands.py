"""The commands that the pages name: what each leaves, the number to expect, and a small form of it for trials.

`tools/times.py` measures them and writes the table of docs/expect.md; `tools/stops.py` stops their small forms by ^C.
"""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Command:
    """A command as it is typed in a checkout.

    Attributes
    ----------
    line : str
    leaves, expect : str
        What it leaves and the number to see, in Markdown.
    also : str
        Other ways to call it, in Markdown.
    small : str, optional
        A form of it that takes seconds, for trials in a folder of their own; None where there is none.
    folder : str, optional
        The flag that names its folder, where it can go on with --resume.
    """

    line: str
    leaves: str
    expect: str
    also: str = ""
    small: str | None = None
    folder: str | None = None

    def words(self, line=None):
        """Return what is executed from any folder: this Python, and scripts by their paths."""
        program, *rest = shlex.split(line or self.line)
        if program == "make":
            return ["make", "-C", str(ROOT), *rest, f"VENV={sys.prefix}"]
        if program in ("multifractal", "landscape"):
            package = {"multifractal": "multifractal", "landscape": "landscape_viz"}[program]
            return [sys.executable, "-m", package, *rest]
        if rest[0].endswith(".py"):
            rest[0] = str(ROOT / rest[0])
        return [sys.executable, *rest]


VALLEYS = "python experiments/spurious_valleys"
SECTION = "--dataset synthetic --model mlp --x -1:1:28 --y -1:1:28 --device cpu --html n"

COMMANDS = (
    Command(
        "make report",
        "each claim of the paper, judged: `results/report.html`",
        "8 reproduced, 7 with a correction, 1 by the published unfolding only, 5 not (with the paper's files and the airfoil "
        "table in `data/`)",
        also="or `multifractal report`",
        small="multifractal report --surfaces 2 --size 128 --effort 0.01",
    ),
    Command(
        "make campaign",
        "what must hold, tried thousands of times",
        "no failure",
        small="python -m campaign --count 1 bits",
    ),
    Command("make test", "ruff, mypy and the suite", "all passed; what is skipped says why"),
    Command("make quick", "ruff and the quick tests, for each change", "all passed"),
    Command(
        "make bench",
        "`benchmarks/results.json`, the tables of [benchmarks](benchmarks.md)",
        "those of the page",
        small="python -m benchmarks variogram",
    ),
    Command(
        "make zoo",
        "[the zoo](zoo.md): networks by probes",
        "those of the page",
        small='python tools/zoo.py --networks "^MLP" --no_page',
    ),
    Command(
        "multifractal demo",
        "a surface with a walk on it: `results/demo.png`",
        "TAMSD grows as lag^0.92 (here; a chaotic walk)",
        small="multifractal demo",
    ),
    Command(
        "python experiments/published_findings/show.py",
        "[findings](findings.md)",
        "those of the page",
        small="python experiments/published_findings/show.py",
    ),
    Command(
        "python LL_visualisation.py --visualize y",
        "a ResNet-20 trained on digits, 51 x 51 points of its loss, a page",
        "losses from about 0 at the middle",
        also="or `landscape visualise --visualize y`",
        small=f"python LL_visualisation.py --visualize y {SECTION} --workers 2",
        folder="--out",
    ),
    Command(
        "python LL_visualisation.py --optimizer sgd --epochs 20 --dataset cifar10 --model vgg --visualize y --train_mode y "
        "--published_layout",
        "the paper's network; its section, and all under the published names",
        "no number",
    ),
    Command(
        "python train_supplementary.py --lr 0.1 --dropout 0.75 --dataset diabetes",
        "a million epochs of full-batch descent",
        "loss 0.613 at the end; sharpness 0.56 of the edge",
        also="or `multifractal train ...`",
        small="python train_supplementary.py --dataset diabetes --epochs 200000 --hess_term 200",
        folder="--out",
    ),
    Command(
        "python experiments/run_full_analysis.py --model mlp --dataset digits --visualize --compute_hessian --track_trajectory",
        "one HTML report",
        "test accuracy 98.3 %; a verdict on each number",
        small="python experiments/run_full_analysis.py --epochs 3 --samples 32 --points 5 --visualize",
        folder="--save_dir",
    ),
    Command(
        "python experiments/train_and_analyze.py",
        "training, Hessian, two lines, plane; `model.pth`",
        "best epoch 2 with 86.6 %; largest eigenvalue 0.8845",
        small="python experiments/train_and_analyze.py --dataset digits --epochs 3 --analysis_samples 64 --hessian_iters 6 "
        "--num_workers 2",
        folder="--save_dir",
    ),
    Command(
        "python experiments/data_preparation.py --dataset digits",
        "images checked and counted",
        "1437 and 360 images; CIFAR-10: 50 000 and 10 000",
        also="(`cifar10 --data_root data`, where its files or archive are)",
        small="python experiments/data_preparation.py --dataset digits",
    ),
    Command(
        "python experiments/compare_architectures.py",
        "four architectures side by side",
        "accuracy 0.982 shallow, 0.669 deep, 0.968 residual, 0.975 dense",
        also="or `python loss_landscape_analysis.py`, or `landscape compare`",
        small="python experiments/compare_architectures.py --seeds 1 --epochs 5 --samples 64 --points 5",
        folder="--save_dir",
    ),
    Command(
        "python experiments/section_study.py",
        "[is it fractal?](section_study.md): 24 sections of trained networks",
        "those of the page",
        small="python experiments/section_study.py --points 102 --workers 2",
        folder="--save_dir",
    ),
    Command(
        "python experiments/real_dynamics.py",
        "walks on measured sections, and on surfaces like them",
        "those it prints",
        small="python experiments/real_dynamics.py --runs 2 --n_points 64 --epochs 160 --steps 160 --side 128",
        folder="--save_dir",
    ),
    Command(
        "python experiments/where_losses_are_fractal.py",
        "[where losses are fractal](where_losses_are_fractal.md)",
        "those of the page",
        small="python experiments/where_losses_are_fractal.py --parts gated --seeds 4",
        folder="--save_dir",
    ),
    Command(
        "python experiments/persistence.py",
        "the table of [topology](topology.md)",
        "those of the page",
        small="python experiments/persistence.py --planes 2",
    ),
    Command(
        "python experiments/edge_monitor.py --quick",
        "a part of the table of [the edge monitor](edge_monitor.md)",
        "verdicts, most of them those of the page",
        small="python experiments/edge_monitor.py --quick",
    ),
    Command(
        "python experiments/heavy_tails.py",
        "the tables of [heavy tails](heavy_tails.md)",
        "those of the page",
        small="python experiments/heavy_tails.py --repeats 2",
    ),
    Command(
        "python experiments/learning_coefficient.py",
        "the table of [the learning coefficient](learning_coefficient.md)",
        "those of the page",
        small="python experiments/learning_coefficient.py --repeats 1",
    ),
    Command(
        "python experiments/d_dimensions.py --quick",
        "descent on fields in [d dimensions](d_dimensions.md), a part",
        "those of the page, within its intervals",
        small="python experiments/d_dimensions.py --quick --workers 2",
        folder="--out",
    ),
    Command(
        "python -m experiments.landscape_bench",
        "[LandscapeBench](landscape_bench.md): nine optimisers",
        "those of the page",
        small='python -m experiments.landscape_bench --optimizer SGD --grounds "bowl, condition 1000"',
        folder="--out",
    ),
    Command(
        "python -m experiments.landscape_bench --optimizer SGD",
        "one more optimiser on its leaderboard (give `module:Class`)",
        "those of the page",
    ),
    Command(
        f"{VALLEYS}/theorem8.py",
        "paths of non-increasing loss, and between two minima",
        "losses that rise by 2e-13 at most",
        small=f"{VALLEYS}/theorem8.py --epochs 100 --resolution 5",
    ),
    Command(
        f"{VALLEYS}/theorem8.py main1 --outdir outputs_t8",
        "the paper's figures 2a, 2b; x² by degree 1",
        "four starts end near 1e-16; least loss 2.808",
        also="(`main2`, `demo`)",
    ),
    Command(
        f"{VALLEYS}/theorem13.py --seed 0 --n 10 --p 9 --N 20000 --alpha 2 --beta 3 --path_points 200 --runs 20 --device cpu "
        "--outdir outputs_t13",
        "a ReLU valley and the best path out",
        "depth 0.1817 (proved) to 0.2237 (found); straight lines cross 1.0",
        small=f"{VALLEYS}/theorem13.py --n 6 --N 5000 --runs 2",
    ),
    Command(
        f"{VALLEYS}/theorem16.py --outdir outputs_t16",
        "error of random features by width; descents trapped",
        "error falls like 1/p below width 128 only; 0.42 to 0.013 trapped",
        small=f"{VALLEYS}/theorem16.py",
    ),
)
