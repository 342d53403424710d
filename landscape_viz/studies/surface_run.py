"""One run of `LL_visualisation.py`: train or load, map, write and draw what its flags ask for."""

import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from landscape_viz import Section, checkpoint, directions, section, training, trajectory
from landscape_viz.sections import estimate_seconds
from landscape_viz.studies import published_layout as layout
from landscape_viz.studies import surface_pictures
from landscape_viz.studies.surface_subject import Subject
from multifractal.base.chunks import workers

_EIGENVALUES = ("loss", "largest_eigenvalue", "smallest_eigenvalue")
# a forward pass over a training step, for the estimate only (measured: .3 to .4)
_FORWARD_SHARE = 0.35


class Run:
    """What was asked for, and what has been written.

    Parameters
    ----------
    flags : Namespace
        Of `surface_flags.parser`.
    device : str
    axes : list of ndarray
    out : Path
    n_workers : int
        Processes that map.
    """

    def __init__(self, flags, device, axes, out, n_workers):
        self.flags, self.device, self.axes, self.out = flags, device, axes, out
        self.subject = Subject(flags)
        self.written = {}
        self.replace = flags.overwrite or flags.resume
        self.n_workers = n_workers

    def do(self):
        """Train or load, and map if that is asked for; return the section, or the network."""
        start = time.perf_counter()
        print(f"{self.subject.data}\noutput: {self.out}")
        print(f"estimate: about {duration(self.estimate())} in all", flush=True)
        network = self.loaded() if self.flags.load_model else self.trained()
        result = self.mapped(network) if self.flags.visualize == "y" else network
        if self.flags.published_layout:
            self.published(result)
        print(f"took {duration(time.perf_counter() - start)}")
        for what, path in self.written.items():
            print(f"{what + ':':11} {path}")
        return result

    def trained(self):
        """Return the network after training, in evaluation mode."""
        flags, network = self.flags, self.subject.factory()
        run = training.train(
            network,
            self.subject.data,
            self.out,
            epochs=flags.epochs,
            batch_size=flags.batch_size,
            loss=self.subject.loss,
            rng=flags.seed,
            device=self.device,
            save_every=flags.save_every,
            resume=flags.resume,
            any_threads=flags.any_threads,
            overwrite=flags.overwrite,
            **self._rule(),
        )
        self.written["checkpoint"] = self.out / f"epoch_{flags.epochs:04d}.pt"
        self.written["history"] = self.out / "training.npz"
        run.save(self.written["history"], overwrite=self.replace)
        return network.eval()

    def loaded(self):
        """Return the network of --load_model, in evaluation mode."""
        file = self.flags.load_model
        stored = checkpoint.load(file)
        network = self.subject.problem(stored.state_dict).build().to(self.device)
        seen = training.evaluate(
            network,
            self.subject.data.test_inputs,
            self.subject.data.test_targets,
            loss=self.subject.loss,
            device=self.device,
        )
        words = "verified" if stored.verified else "UNVERIFIED, it carries no SHA-256 of ours"
        print(f"{file}: {words}; {training.in_words(seen, 'test')}")
        self.written["checkpoint"] = Path(file).resolve()
        return network

    def mapped(self, network):
        """Map the section of a network and write it, its picture and its page."""
        problem = self.subject.problem(network.state_dict())
        run = self.trajectory(problem) if self.flags.trajectory == "y" else None
        plane = self.subject.plane(problem) if run is None else run.plane
        with self._executor() as executor:
            found = section(
                problem,
                plane,
                self.axes if run is None else run.axes,
                metrics=_EIGENVALUES if self.flags.eigenvalues == "y" else None,
                device=self.device,
                devices=self.flags.devices,
                executor=executor,
                resume=self.flags.resume,
                overwrite=self.flags.overwrite,
                path=self.out / "section.store",
            )
        self.written["section"] = self.out / "section.npz"
        found.save(self.written["section"], overwrite=self.replace)
        if found.n_not_finite:
            print(
                f"{found.n_not_finite} of {found.status.size} are NaN or inf: kept in the file, holes in the picture"
            )
        self._exchanged(found)
        drawn = surface_pictures.draw(found, self.flags, self.out, replace=self.replace)
        self.written |= drawn
        if run is not None:
            self.written |= surface_pictures.draw_run(run.path, found, self.out, self.replace)
        return found

    def trajectory(self, problem):
        """Return the run of the checkpoints in a plane: --dir_file's, or that of its two principal directions."""
        folder = Path(self.flags.model_folder or self.out)
        states = [checkpoint.load(file).state_dict for file in layout.checkpoints(folder)]
        if self.flags.dir_file and Path(self.flags.dir_file).exists():
            plane = self.subject.plane(problem)
        else:
            plane = directions.pca(problem, states)
        path = trajectory.project(problem, states, plane, device=self.device)
        self.written["trajectory"] = self.out / "trajectory.npz"
        path.save(self.written["trajectory"], overwrite=self.replace)
        print(
            f"{len(states)} states, up to {path.residuals.max():.0%} of their distance off the plane"
        )
        spans = [_spanning(c, len(a)) for c, a in zip(path.coordinates.T, self.axes, strict=True)]
        return _Projected(path, plane, spans)

    def published(self, result):
        """Write the checkpoints and the section under their published names too."""
        flags, epoch = self.flags, self.flags.epochs
        if flags.load_model:
            epoch = layout.epoch_of(flags.load_model)
        else:
            layout.write_checkpoints(self.out, overwrite=self.replace)
            self.written["published"] = self.out / f"model_{epoch}.t7"
        if isinstance(result, Section):
            self.written["landscape"] = layout.section_path(
                self.out,
                epoch,
                interpolate=flags.interpolate,
                train_mode=flags.train_mode,
                shuffle=flags.shuffle,
            )
            layout.write_section(self.written["landscape"], result, overwrite=self.replace)

    def estimate(self):
        """Return about how many seconds everything takes, from a few steps and points; the network is not trained yet."""
        flags, seconds = self.flags, 0.0
        if not flags.load_model:
            seconds += self._epochs_left() * self._seconds_per_epoch()
        if flags.visualize == "y" and flags.eigenvalues == "n":
            problem = self.subject.problem(self.subject.factory().state_dict())
            plane = directions.random(problem, len(self.axes), norm="model", rng=flags.seed)
            seconds += estimate_seconds(
                problem, plane, self.axes, device=self.device, n_workers=self.n_workers
            )
        return seconds

    def _epochs_left(self):
        saved = training.saved_epochs(self.out) if self.flags.resume else ()
        return self.flags.epochs - max((e for e in saved if e <= self.flags.epochs), default=0)

    def _seconds_per_epoch(self):
        flags, data = self.flags, self.subject.data
        step = training.seconds_per_step(
            self.subject.factory,
            data,
            batch_size=flags.batch_size,
            optimizer=flags.optimizer,
            loss=self.subject.loss,
            device=self.device,
        )
        images = len(data.train_targets) + _FORWARD_SHARE * len(data.test_targets)
        return images / flags.batch_size * step

    def _rule(self):
        flags = self.flags
        rule = {
            "optimizer": flags.optimizer,
            "learning_rate": flags.learning_rate,
            "momentum": flags.momentum,
            "weight_decay": flags.weight_decay,
            "schedule": flags.schedule,
        }
        if flags.schedule == "steps":
            rule |= {"decay": flags.lr_decay, "milestones": tuple(flags.milestones)}
        return rule

    def _executor(self):
        if self.flags.mpi:
            from mpi4py.futures import MPIPoolExecutor

            return MPIPoolExecutor()
        if self.flags.devices:
            return nullcontext()
        return workers(self.n_workers if self.n_workers > 1 else 0)

    def _exchanged(self, found):
        """Write the section for other programs."""
        flags = self.flags
        if flags.surf_file:
            self.written["surface"] = Path(flags.surf_file).resolve()
            found.to_h5(flags.surf_file, split=flags.split, overwrite=self.replace)
        if flags.vtk == "y":
            ending = "vtp" if len(self.axes) == 2 else "vti"
            self.written["ParaView"] = self.out / f"section.{ending}"
            found.to_vtk(self.written["ParaView"], overwrite=self.replace)


class _Projected:
    """A run in a plane: its `path`, the `plane`, and the `axes` that show all of it."""

    def __init__(self, path, plane, axes):
        self.path, self.plane, self.axes = path, plane, axes


def _spanning(values, n_points):
    """Return an axis over all values and 0, with a quarter of their range to spare on either side."""
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    return np.linspace(low - (high - low) / 4, high + (high - low) / 4, n_points)


def duration(seconds):
    """Return seconds in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
