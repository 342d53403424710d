"""The points of a section computed: here, by workers, or by the ranks of a job; what is finished is kept on the way."""

from collections import deque
from concurrent.futures import BrokenExecutor
from contextlib import nullcontext

import numpy as np
from tqdm.auto import tqdm

from landscape_viz.devices.ranks import Ranks
from landscape_viz.mapping.section_store import SectionStore
from landscape_viz.mapping.workers import Parcel, count, finished
from multifractal.base.chunks import died


def computed(task, identity, executor, path, resume, overwrite, progress):
    """Return the grid of all metrics, computing the chunks the store does not hold; of several ranks the first one writes."""
    grid = np.full((len(task.evaluator.metrics), task.n_points), np.nan)
    ranks = executor if isinstance(executor, Ranks) else task.problem.ranks
    if path is None or (ranks is not None and ranks.index > 0):
        _fill(grid, task, {}, executor, progress, lambda first, values: None)
    else:
        with SectionStore(path, identity, resume=resume, overwrite=overwrite) as kept:
            _fill(grid, task, dict(kept.chunks), executor, progress, kept.add)
    return grid.reshape(len(grid), *(len(axis) for axis in task.axes))


def _fill(grid, task, done, executor, progress, keep):
    ranks = executor if isinstance(executor, Ranks) else task.problem.ranks
    if ranks is not None:
        done = ranks.gathered(done)[0]
    for first, values in done.items():
        grid[:, first : first + values.shape[1]] = values
    pending = [chunk for chunk in task.chunks() if chunk[0] not in done]
    disable = None if progress is None else not progress
    bar = tqdm(
        desc="section",
        total=task.n_points,
        initial=task.n_points - sum(b - a for a, b in pending),
        unit="point",
        disable=disable,
    )
    with bar, task.steady() if executor is None else nullcontext():
        for first, values in _results(task, pending, executor):
            keep(first, values)
            grid[:, first : first + values.shape[1]] = values
            bar.update(values.shape[1])


def _results(task, pending, executor):
    """Yield (first index, values) of each chunk, in the order they are finished."""
    if executor is None:
        for first, stop in pending:
            yield first, task.run(first, stop)
    elif isinstance(executor, Ranks):
        yield from _from_ranks(task, pending, executor)
    else:
        yield from _from_workers(Parcel(task), deque(pending), executor)


def _from_ranks(task, pending, ranks):
    """Compute every rank's chunk of each round, and give all of them to all ranks."""
    for first in range(0, len(pending), ranks.count):
        mine = pending[first : first + ranks.count][ranks.index : ranks.index + 1]
        for found in ranks.gathered([(start, task.run(start, stop)) for start, stop in mine]):
            yield from found


def _from_workers(parcel, queue, executor):
    """Keep twice as many chunks under way as there are workers; send the task itself only where it is not held yet."""
    n_workers = count(executor)
    limit = 2 * n_workers if n_workers else len(queue)
    unsent, under_way = n_workers or len(queue), {}
    try:
        while queue or under_way:
            while queue and len(under_way) < limit:
                chunk = queue.popleft()
                under_way[parcel.submit(executor, chunk, whole=unsent > 0)] = chunk
                unsent -= 1
            for future in finished(under_way):
                chunk, values = under_way.pop(future), future.result()
                if values is None:
                    under_way[parcel.submit(executor, chunk, whole=True)] = chunk
                else:
                    yield chunk[0], values
    except BrokenExecutor as error:
        raise died(
            error,
            "call again with a new executor; with a `path` the chunks that are done stay there, and "
            "resume=True continues with them",
        ) from error
    finally:
        for future in under_way:
            future.cancel()
