"""Damaged files: 1 to 4 altered bytes, a cut, or two blocks swapped; each is read as its user would read it.

What we wrote, and what a recorded hash covers, must be refused or give the values it held. A foreign file, whose hash is none
that is known, must be refused or be marked as unverified.
"""

import functools
import hashlib
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np

from campaign.harness import Kind, generator
from multifractal import DamagedFileError, Displacement, Landscape, Spectrum, source_data, tamsd
from multifractal.analysis.spectrum import multifractal_spectrum
from multifractal.landscapes.brownian import fbm_surface
from multifractal.training.run import FullBatchRun
from multifractal.training.run_folder import RunFolder

REFUSED, EQUAL, WRONG = "refused", "read with equal values", "SILENTLY WRONG"
MARKED, UNMARKED = "foreign, marked unverified", "FOREIGN, NOT MARKED"
GOOD = (REFUSED, EQUAL, MARKED)
N_FILES = 1500


def kinds():
    """Return a kind a format, and one each for section stores and run folders."""
    trials = {
        "npz": (_npz, "`.npz`: results, landscapes, source data"),
        "npy": (_npy, "`.npy`: source data, foreign files"),
        "pt": (_pt, "`.pt`: checkpoints, foreign files"),
        "mat": (_mat, "`.mat`: source data, foreign files"),
        "store": (_store, "section stores, resumed"),
        "run": (_run, "run folders, read and resumed"),
    }
    return [
        Kind(
            f"damaged-{name}",
            f"damaged files: {what}",
            N_FILES,
            GOOD,
            functools.partial(run, f"damaged-{name}"),
            batch=250,
            unit="files",
        )
        for name, (run, what) in trials.items()
    ]


def damaged(content, rng):
    """Return `content` with 1 to 4 bytes altered, cut short, or with two blocks swapped; never as it was."""
    while True:
        new, how = bytearray(content), rng.integers(3)
        if how == 0:
            for at in rng.integers(len(new), size=rng.integers(1, 5)):
                new[at] ^= int(rng.integers(1, 256))
        elif how == 1:
            del new[rng.integers(len(new)) :]
        else:
            size = int(rng.integers(1, max(2, len(new) // 4)))
            first, second = sorted(int(at) for at in rng.integers(len(new) - size, size=2))
            size = min(size, second - first)
            new[first : first + size], new[second : second + size] = (
                new[second : second + size],
                new[first : first + size],
            )
        if bytes(new) != content:
            return bytes(new)


def verdict(read, expected, foreign=False):
    """Return the outcome of `read()`: refused, or what it gave beside `expected`, and whether it was marked."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            found = read()
        except (DamagedFileError, FileExistsError, ValueError) as error:
            return (REFUSED, "") if str(error) else (WRONG, f"an error without words: {error!r}")
    if foreign:
        marks = [
            str(w.message)
            for w in warned
            if "unverified" in str(w.message) or "no checksum" in str(w.message)
        ]
        return (MARKED, "") if marks else (UNMARKED, repr(found)[:300])
    return (EQUAL, "") if equal(found, expected) else (WRONG, repr(found)[:300])


def equal(found, expected):
    """Whether two nested values hold the same numbers and words."""
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(equal(found[key], value) for key, value in expected.items())
        )
    if hasattr(expected, "__dataclass_fields__"):
        return type(found) is type(expected) and equal(vars(found), vars(expected))
    if hasattr(expected, "detach"):
        return hasattr(found, "detach") and equal(found.detach().numpy(), expected.detach().numpy())
    if isinstance(expected, np.ndarray):
        found = np.asarray(found)
        return found.dtype == expected.dtype and np.array_equal(
            found, expected, equal_nan=expected.dtype.kind == "f"
        )
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(equal, found, expected))
    return found == expected or (found != found and expected != expected)


def _npz(kind, index, folder):
    rng = generator(kind, index)
    which = index % 4
    if which == 3:
        return _source(rng, folder, ".npz", foreign=False)
    loader, content, expected = _results()[which]
    path = folder / "result.npz"
    path.write_bytes(damaged(content, rng))
    return verdict(lambda: _parts(loader(path)), expected)


def _npy(kind, index, folder):
    return _source(generator(kind, index), folder, ".npy", foreign=index % 4 == 0)


def _mat(kind, index, folder):
    return _source(generator(kind, index), folder, ".mat", foreign=index % 4 == 0)


_FOREIGN = {  # a file of the record, and the name of one of its form for which no hash is shipped
    ".npy": (
        "real_loss_landscape/vgg_sgd_cifar10.npy",
        "real_loss_landscape/resnet_sgd_fashionmnist.npy",
    ),
    ".mat": (
        "fractional_brownian_surfaces/TAMSD_H=0.5.mat",
        "fractional_brownian_surfaces/TAMSD_H=0.6.mat",
    ),
}


def _source(rng, folder, suffix, foreign):
    """Read a damaged file that `fetch` recorded; a foreign one lies under a name for which no hash is known."""
    names = [
        name for name in source_data.NAMES if name.endswith(suffix) and source_data.available(name)
    ]
    if not names:
        raise FileNotFoundError(
            "the campaign needs the paper's source data; set MULTIFRACTAL_DATA to their folder"
        )
    name = place = names[rng.integers(len(names))]
    if foreign:
        name, place = _FOREIGN[suffix]
    content, expected = _source_file(name)
    path = folder / place
    path.parent.mkdir(parents=True)
    path.write_bytes(damaged(content, rng))
    if not foreign:
        recorded = {"sha256": {name: hashlib.sha256(content).hexdigest()}, "files": {}}
        (folder / "checksums.json").write_text(json.dumps(recorded))
    return verdict(
        lambda: source_data.read(path.relative_to(folder).as_posix(), folder), expected, foreign
    )


def _pt(kind, index, folder):
    from landscape_viz import checkpoint

    ours = index % 4 != 0
    content, expected = _checkpoints()[ours]
    path = folder / "epoch_0001.pt"
    path.write_bytes(damaged(content, generator(kind, index)))

    def read():
        found = checkpoint.load(path)
        return (found.state_dict, found.training, found.verified)

    return verdict(read, expected, foreign=not ours)


def _store(kind, index, folder):
    from landscape_viz.mapping.section_store import SectionStore

    chunks = {first: np.random.default_rng(first).normal(size=(2, 5)) for first in range(0, 60, 5)}
    path, identity = (
        folder / "store",
        {"problem": {"loss": "cross_entropy"}, "axes": [[0.0, 1.0], [0.0, 0.5]]},
    )
    with SectionStore(path, identity) as store:
        for first, values in chunks.items():
            store.add(first, values)
    path.write_bytes(damaged(path.read_bytes(), generator(kind, index)))

    def read():
        with SectionStore(path, identity, resume=True) as store:
            return all(
                np.array_equal(values, chunks.get(first)) for first, values in store.chunks.items()
            )

    return verdict(read, True)


def _run(kind, index, folder):
    """Damage one file of a run's folder; read the run, or resume it: what is given must be what was kept."""
    rng, path = generator(kind, index), folder / "run"
    made, files, parameters, expected = _run_folder()
    shutil.copytree(made, path)
    target = path / files[rng.integers(len(files))]
    target.write_bytes(damaged(target.read_bytes(), rng))
    if index % 2:
        return verdict(lambda: _parts_of_run(FullBatchRun(path)), expected)

    def resume():
        run = RunFolder(path, _ARRAYS)
        state = run.start(parameters, resume=True)
        run.close()
        return state[0], _parts_of_run(FullBatchRun(path))

    return verdict(resume, ({"theta": np.arange(4, dtype=np.float32)}, expected))


def _parts(result):
    return (result.values, result.hoelder) if isinstance(result, Landscape) else result


def _parts_of_run(run):
    return {
        "parameters": run.parameters,
        "positions": np.array(run.positions),
        "losses": np.array(run.losses),
        "sharpness": np.array(run.sharpness),
    }


@functools.cache
def _results():
    """Return (loader, bytes, content) of a spectrum, a displacement and a landscape."""
    surface, small = fbm_surface(256, 0.5, rng=0), fbm_surface(48, 0.5, rng=0)
    made = (
        multifractal_spectrum(surface, n_bootstrap=20, rng=0),
        tamsd(
            np.random.default_rng(0).normal(size=(400, 2)),
            waiting_times=[0, 50],
            lag_times=[1, 2, 4],
            window=100,
        ),
        small,
    )
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (result, kind) in enumerate(
            zip(made, (Spectrum, Displacement, Landscape), strict=True)
        ):
            path = Path(folder, f"{number}.npz")
            result.save(path)
            found.append((kind.load, path.read_bytes(), _parts(kind.load(path))))
    assert all(
        equal(_parts(result), parts) for result, (_, _, parts) in zip(made, found, strict=True)
    )
    return found


@functools.cache
def _source_file(name):
    return source_data.find(name).read_bytes(), source_data.read(name)


@functools.cache
def _checkpoints():
    """Return (bytes, content) of a foreign file and of ours."""
    import torch

    from landscape_viz import checkpoint

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3)
    )
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 6)).sum().backward()
    optimizer.step()
    training = {"epoch": 1, "history": {"loss": [0.5, 0.25]}, "optimizer": optimizer.state_dict()}
    with tempfile.TemporaryDirectory() as folder:
        ours, foreign = Path(folder, "ours.pt"), Path(folder, "foreign.pt")
        checkpoint.save(ours, model.state_dict(), training)
        torch.save({"state_dict": model.state_dict()}, foreign)
        whole = checkpoint.load(ours)
        return (
            (foreign.read_bytes(), None),
            (ours.read_bytes(), (whole.state_dict, whole.training, True)),
        )


_ARRAYS = {
    "trajectory": ((4,), np.float32),
    "max_eigs": ((), np.float64),
    "losses": ((1,), np.float32),
}


@functools.cache
def _run_folder():
    """Return (folder, names of files, parameters, content) of a run that was stopped after its second checkpoint."""
    path, rng = Path(tempfile.mkdtemp(prefix="campaign-run-")), np.random.default_rng(0)
    parameters = {
        "learning_rate": 0.1,
        "dropout": 0.5,
        "epochs": 100,
        "dataset": "diabetes",
        "hess_every": 10,
        "seed": 0,
        "dtype": "float32",
    }
    run = RunFolder(path / "run", _ARRAYS)
    run.start(parameters)
    for _ in range(2):
        for name, (shape, dtype) in _ARRAYS.items():
            run.arrays[name].append(rng.normal(size=(25, *shape)).astype(dtype))
        run.checkpoint({"theta": np.arange(4, dtype=np.float32)}, epoch=50)
    run.close()
    files = ["trajectory.npy", "max_eigs.npy", "losses.npy", "run.json", "checkpoint.npz"]
    return path / "run", files, parameters, _parts_of_run(FullBatchRun(path / "run"))
