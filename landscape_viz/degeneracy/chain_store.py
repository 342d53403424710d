"""Chains run here or by an executor, and kept in one file from which a killed estimate goes on to the same bits."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import BrokenExecutor
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from landscape_viz.degeneracy.sgld import Chain, Settings, run_chain
from landscape_viz.loss.problem import Problem
from multifractal.base import checks, files
from multifractal.base.checks import refuse
from multifractal.base.chunks import died
from multifractal.base.rng import describe
from multifractal.base.types import Executor, PathLike

_SECONDS_BETWEEN_SAVES = 60.0  # of the chain under way (our choice)


class ChainStore:
    """The chains of one estimate by number, in a file if there is a path."""

    def __init__(
        self, path: PathLike | None, identity: dict[str, Any], resume: bool, overwrite: bool
    ) -> None:
        self.path = None if path is None else checks.path("path", path)
        self.identity = json.loads(json.dumps(identity))
        self.chains: dict[int, Chain] = {}
        self._saved = time.monotonic()
        if self.path is not None and self.path.exists():
            if not (resume or overwrite):
                raise FileExistsError(
                    f"path must not exist yet, got {os.fspath(self.path)!r}; pass resume=True to resume it, "
                    "overwrite=True to start again, or another path"
                )
            if resume:
                self._read()

    def keep(self, number: int, chain: Chain) -> None:
        """Keep a chain as it is now."""
        self.chains[number] = chain
        self._saved = time.monotonic()
        if self.path is None:
            return
        packed = {k: one.packed() for k, one in self.chains.items()}
        arrays = {f"{k}.{name}": a for k, (found, _) in packed.items() for name, a in found.items()}
        plain = {str(k): rest for k, (_, rest) in packed.items()}
        metadata = {"identity": self.identity, "chains": plain}
        files.save_arrays(self.path, arrays, metadata, overwrite=True)

    def keep_now_and_then(self, number: int, chain: Chain) -> None:
        """Keep a chain that is under way, where the last time was a minute ago."""
        if self.path is not None and time.monotonic() - self._saved > _SECONDS_BETWEEN_SAVES:
            self.keep(number, chain)

    def _read(self):
        arrays, metadata = files.load_arrays(self.path)
        stored = metadata.get("identity", {})
        differing = [k for k in self.identity if stored.get(k) != self.identity[k]]
        if differing:
            raise refuse(
                "path",
                os.fspath(self.path),
                f"be of the same problem, settings and rng; it differs in {', '.join(differing)}",
                "take another path, or overwrite=True",
            )
        for number, plain in metadata["chains"].items():
            own = {
                name.partition(".")[2]: array
                for name, array in arrays.items()
                if name.partition(".")[0] == number
            }
            self.chains[int(number)] = Chain.unpacked(own, plain)


def run(
    store: ChainStore,
    problem: Problem,
    settings: Settings,
    starts: list[Chain],
    device: str | torch.device,
    executor: Executor | None,
    progress: bool | None,
) -> list[Chain]:
    """Return the finished chains, those of the store continued, others from their `starts`."""
    chains = [store.chains.get(k, start) for k, start in enumerate(starts)]
    pending = {k: c for k, c in enumerate(chains) if c.step < settings.n_steps}
    done = sum(chain.step for chain in chains)
    with tqdm(
        desc="chains",
        total=settings.n_steps * len(chains),
        initial=done,
        unit="step",
        disable=None if progress is None else not progress,
    ) as bar:
        run_all = _here if executor is None else _elsewhere
        run_all(store, (problem, settings, device), pending, executor, bar)
    return [store.chains[k] for k in range(len(chains))]


def _here(store, given, pending, executor, bar):
    problem, settings, device = given
    for number, chain in pending.items():

        def told(chain, number=number):
            bar.update()
            store.keep_now_and_then(number, chain)

        store.keep(number, run_chain(problem, settings, device, chain, told))


def _elsewhere(store, given, pending, executor, bar):
    try:
        futures = {k: executor.submit(run_chain, *given, chain) for k, chain in pending.items()}
        for number, future in futures.items():
            before = pending[number].step
            store.keep(number, future.result())
            bar.update(store.chains[number].step - before)
    except BrokenExecutor as error:
        raise died(error, "call again with a new executor; with a `path`, resume=True") from error


def identity_of(
    problem: Problem, settings: Settings, seed: np.random.SeedSequence
) -> dict[str, Any]:
    """Return what two estimates must share for one to continue the other."""
    return problem.identity() | vars(settings) | {"rng of the chains": describe(seed)}
