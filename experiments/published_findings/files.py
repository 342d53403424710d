"""Files that carry no checksum."""

import io
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

import multifractal as mf
from experiments.published_findings.finding import Row
from landscape_viz import checkpoint
from multifractal import DamagedFileError

N_FLIPS = 200


def flipped_bits():
    """A checkpoint or a bare array does not notice a flipped bit.

    `.pt` and `.npy` carry no checksum that their readers enforce. Of 200 copies with one bit of the weights flipped in each,
    how many are read as if nothing had happened, with another value, by `torch.load(weights_only=True)` and `numpy.load`;
    and by the readers here of the files written here, which carry a SHA-256. `make campaign` does it with thousands of
    files, and with `.mat`.
    """
    rng = np.random.default_rng(0)
    weights = {"weight": torch.from_numpy(rng.standard_normal((64, 64)))}
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.save(Path(folder) / "ours.pt", weights)
        mf.Landscape(weights["weight"].numpy()).save(Path(folder) / "ours.npz")
        ours = {name: (Path(folder) / name).read_bytes() for name in ("ours.pt", "ours.npz")}
        buffer, array = io.BytesIO(), io.BytesIO()
        torch.save(weights, buffer)
        np.save(array, weights["weight"].numpy())
        true = weights["weight"].numpy()
        readers = {
            ".pt": (
                (
                    buffer.getvalue(),
                    lambda file: torch.load(file, weights_only=True)["weight"].numpy(),
                ),
                (ours["ours.pt"], lambda file: checkpoint.load(file).state_dict["weight"].numpy()),
            ),
            ".npy": (
                (array.getvalue(), np.load),
                (ours["ours.npz"], lambda file: mf.Landscape.load(file).values),
            ),
        }
        return [
            Row(
                f"{kind} files of {N_FLIPS} read with another value, unnoticed",
                silent(*bare, true, rng, folder),
                silent(*checked, true, rng, folder),
                "files written and read here, with their SHA-256",
                0.1,
            )
            for kind, (bare, checked) in readers.items()
        ]


def silent(content, read, true, rng, folder):
    """Return how many copies with one bit flipped among the values are read without an error and differ."""
    first, count = content.find(true.tobytes()[:64]), 0
    for _ in range(N_FLIPS):
        damaged = bytearray(content)
        damaged[first + int(rng.integers(true.nbytes))] ^= 1 << int(rng.integers(8))
        path = Path(folder) / "damaged"
        path.write_bytes(damaged)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                count += not np.array_equal(read(path), true)
        except (DamagedFileError, ValueError):
            continue
    return count


FINDINGS = (flipped_bits,)
