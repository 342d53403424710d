"""Make the images of an experiment ready: found, unpacked or fetched, checked, and counted.

    python experiments/data_preparation.py --dataset cifar10 --data_root data

Files that are there are used as they are; an archive that is there, as torchvision names it, is checked against its published
checksum and unpacked, without a download. Only --download_data fetches. --samples N keeps N training images, drawn once, as
FOLDER/DATASET_N.npz, so that a machine without the data set can work on them.
"""

import argparse
from pathlib import Path

from multifractal.base.command import Parser, as_command, refuse_results


def parser():
    """Return the command line's parser."""
    flags = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = flags.add_argument
    add(
        "--dataset",
        default="cifar10",
        choices=("cifar10", "fashionmnist", "mnist", "digits", "synthetic"),
        help="(%(default)s)",
    )
    add("--data_root", default="data", metavar="FOLDER", help="where the files are (%(default)s)")
    add("--download_data", action="store_true", help="fetch what is not there")
    add("--samples", type=int, metavar="N", help="training images to keep apart (none)")
    add("--seed", default=0, type=int, help="of the draw of these (%(default)s)")
    add("--overwrite", action="store_true", help="replace an earlier draw")
    return flags


def main(argv=None):
    """Prepare as the flags say; return the `Dataset`."""
    flags = parser().parse_args(argv)
    from landscape_viz import datasets
    from multifractal.base import files

    root = Path(flags.data_root).resolve()
    kept = root / f"{flags.dataset}_{flags.samples}.npz"
    if flags.samples:
        refuse_results("--data_root", root, [kept.name], flags)
    data = datasets.load(flags.dataset, data_root=root, download=flags.download_data)
    print(data)
    for part in ("train", "test"):
        inputs, targets = getattr(data, f"{part}_inputs"), getattr(data, f"{part}_targets")
        counts = ", ".join(str(n) for n in targets.bincount(minlength=data.n_classes).tolist())
        print(
            f"{part}: mean {inputs.mean():.4f}, deviation {inputs.std():.4f}; images by class: {counts}"
        )
    if flags.samples:
        inputs, targets = data.batch(flags.samples, rng=flags.seed)
        arrays = {"inputs": inputs.numpy(), "targets": targets.numpy()}
        about = {"dataset": flags.dataset, "seed": flags.seed}
        files.save_arrays(kept, arrays, about, overwrite=flags.overwrite)
        print(f"output: {kept}")
    return data


if __name__ == "__main__":
    raise SystemExit(as_command(main, "data_preparation.py", again="the same command"))
