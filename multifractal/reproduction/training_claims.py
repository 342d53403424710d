"""Claim of the supplement: full-batch training of a small network diffuses anomalously."""

from functools import partial
from pathlib import Path

import numpy as np

from multifractal import source_data
from multifractal.diffusion.displacement import Displacement, tamsd
from multifractal.figures import reproduced_dynamics as figures
from multifractal.reproduction import exponents
from multifractal.reproduction.claim import (
    NOT_JUDGED,
    Claim,
    Judgement,
    Measured,
    Protocol,
    Quantity,
)
from multifractal.reproduction.exponents import Stated
from multifractal.training.displacement import (
    REGIMES,
    WINDOW,
    RegimeExponent,
    published_displacement,
    published_name,
    regime_exponents,
)
from multifractal.training.tables import AIRFOIL_FILE, load_table

_RATE, _DROPOUT = 0.1, 0.75  # paper
# paper; the last that an exponent is read at is 7743
_WAITING_TIMES = np.round(np.logspace(0, 5, 10)).astype(int)[:8]
_LAGS = np.unique(np.round(np.logspace(0, 4, 100)).astype(int))
_LAGS = _LAGS[_LAGS <= 1100]  # exponents are read up to lag 1000
_EPOCHS = int(_WAITING_TIMES[-1]) + WINDOW + int(_LAGS[-1])
_CHUNK = 10_000  # epochs of one compiled call
_STATED = tuple(
    Stated(
        name,
        name,
        published,
        lags,
        f"{name} (waiting time {_WAITING_TIMES[index]}, lags {lags[0]} to {lags[1]})",
    )
    for (name, index, lags), published in zip(REGIMES, (0.7, 1.3, 0.2), strict=True)
)


def _measure(study):
    table = _table()
    window = max(study.repeats(WINDOW), 3000)
    found, control = (
        study.each(
            partial(_train, study, table, window, dropout),
            range(n),
            title=f"training, dropout {dropout}",
        )
        for dropout, n in ((_DROPOUT, study.n_surfaces), (0.0, max(study.n_surfaces // 5, 1)))
    )
    return measured(found, study, table.name, window, control)


def measured(displacements, study, dataset, window=WINDOW, control=()):
    """Return the Measured of displacement curves, one per run: `Displacement` at the published waiting times and lags.

    `control` are runs without dropout, shown beside.
    """
    read = np.array(
        [[regime.fit.exponent for regime in regime_exponents(each)] for each in displacements]
    )
    call = study.provenance(
        "FullBatchDescent",
        dataset=dataset,
        learning_rate=_RATE,
        dropout=_DROPOUT,
        epochs=_EPOCHS - WINDOW + window,
        window=window,
        seeds=f"{study.seed} + 0, 1, ...",
    )
    quantities = {
        each.name: Quantity.mean(
            f"exponent {each.words}",
            read[:, k],
            call,
            over=f"seeds, {dataset}",
            published=f"{each.published:g} (airfoil)",
        )
        for k, each in enumerate(_STATED)
    }
    files = {"": published_exponents(_DROPOUT), "control ": published_exponents(0.0)}
    if dataset == "airfoil" and files[""] is not None:
        for k, each in enumerate(_STATED):
            quantities[each.name] = quantities[each.name].beside(files[""][k])
    for k, each in enumerate(_STATED if control else ()):
        of_control = [regime_exponents(run)[k].fit.exponent for run in control]
        told = Quantity.mean(
            f"without dropout: exponent {each.words}", of_control, call, over=f"seeds, {dataset}"
        )
        in_file = None if files["control "] is None else files["control "][k]
        quantities[f"control {each.name}"] = told.beside(in_file if dataset == "airfoil" else None)
    quantities["runs on the paper's table"] = Quantity.single(
        "runs on the paper's table, airfoil self-noise",
        len(read) * (dataset == "airfoil"),
        call,
        over="seeds",
        n=len(read),
    )
    ours = Displacement(
        per_walk=np.array([each.values for each in displacements]),
        waiting_times=displacements[0].waiting_times,
        lag_times=displacements[0].lag_times,
        window=window,
        provenance=call,
    )
    lines = [
        RegimeExponent(
            regime=name,
            waiting_time=int(ours.waiting_times[index]),
            fit=each.line(ours.lag_times, ours.values[index], quantities[each.name]),
            even_lags_only=False,
            provenance=call,
        )
        for each, (name, index, _) in zip(_STATED, REGIMES, strict=True)
    ]
    return Measured(
        quantities=quantities, results={"ours": ours, "exponents": lines} | _published()
    )


def published_exponents(dropout):
    """Return the exponents of the paper's run in the order of `_STATED`; None if its file is not here."""
    if not source_data.available(published_name(_RATE, dropout)):
        return None
    return [each.fit.exponent for each in regime_exponents(published_displacement(_RATE, dropout))]


def _published():
    """Return the displacement of the paper's run at our waiting times and lags, if its file is here."""
    if not source_data.available(published_name(_RATE, _DROPOUT)):
        return {}
    found = published_displacement(_RATE, _DROPOUT)
    shown = found.lag_times <= _LAGS.max()
    return {
        "published": Displacement(
            per_walk=found.per_walk[:, : len(_WAITING_TIMES)][..., shown],
            waiting_times=found.waiting_times[: len(_WAITING_TIMES)],
            lag_times=found.lag_times[shown],
            window=found.window,
            provenance=found.provenance,
        )
    }


def _table():
    """Return the airfoil table where its file is at hand (nothing is downloaded), else the diabetes table."""
    if Path("data", AIRFOIL_FILE).exists():
        return load_table("airfoil", "data", fetch=False)
    return load_table("diabetes")


def _train(study, table, window, dropout, seed):
    """Return the displacement curves of one run from a seed of its own."""
    from multifractal.training.full_batch import FullBatchDescent

    inputs, target = table.standardised(len(table.target))
    descent = FullBatchDescent(
        inputs,
        target,
        n_train=len(target),
        learning_rate=_RATE,
        dropout=dropout,
        seed=study.seed + seed,
        chunk=_CHUNK,
    )
    epochs = _EPOCHS - WINDOW + window
    theta = descent.start()
    positions = np.empty((epochs + 1, theta.size), theta.dtype)
    positions[0] = theta
    for epoch in range(0, epochs, _CHUNK):
        n = min(_CHUNK, epochs - epoch)
        positions[epoch + 1 : epoch + n + 1], _ = descent.advance(positions[epoch], epoch, n)
    return tamsd(positions, waiting_times=_WAITING_TIMES, lag_times=_LAGS, window=window)


def _judge(found):
    judged = exponents.judge(_STATED, found)
    if "control late, long lags" in found:
        controls = ", ".join(f"{found[f'control {each.name}'].value:.2f}" for each in _STATED)
        judged = Judgement(
            judged.verdict, f"{judged.reason} Without dropout the same runs have {controls}."
        )
    if found["runs on the paper's table"].value > 0:
        return judged
    return Judgement(
        NOT_JUDGED,
        "The paper's table, airfoil self-noise, is not in data/ (train_supplementary.py fetches "
        "it). On the diabetes table, which stands in, the rule would say "
        f'"{judged.verdict}": {judged.reason}',
    )


TRAINING = Claim(
    "training",
    "Full-batch training diffuses anomalously",
    "A 5-16-1 network trained on airfoil self-noise by full-batch descent (rate 0.1, dropout 0.75, a million epochs) moves "
    "with exponents of 0.7 at short lags, 1.3 at long lags, and 0.2 at long lags later on.",
    exponents.RULE.format(one="one more run")
    + " Exponents are read where the paper's own file gives .70, 1.27 and .22. "
    f"They take the first {_EPOCHS:,} epochs of a run (waiting time + window + lag), so a run stops there: a million epochs "
    "give the same numbers. On another table the claim is not judged.",
    _measure,
    _judge,
    figures.training,
    "Displacement of all parameters by lag, one curve a waiting time, window 100 000 epochs: mean over seeds "
    "(above) and the paper's file, if it is here. Dashed: exponents.",
    Protocol(
        "One run with dropout 0.75 and one without, seed fixed whatever is asked; a million epochs, window 100 000.",
        "Independent seeds with dropout, a fifth as many without.",
    ),
    headline={
        "early, short lags": "early, short lags",
        "early, long lags": "long lags",
        "late, long lags": "late, long lags",
        "control late, long lags": "the last without dropout",
    },
    data=("real_training_dynamics/*", AIRFOIL_FILE),
)

CLAIMS = (TRAINING,)
