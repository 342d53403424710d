"""Claims on small networks: that full-batch training diffuses anomalously, and that drift to flat ground explains generalisation."""

from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from multifractal import source_data
from multifractal.base.curves import Curves
from multifractal.base.statistics import jackknife_interval, mean_and_error
from multifractal.diffusion.displacement import Displacement, tamsd
from multifractal.figures import reproduced_dynamics as figures
from multifractal.figures import reproduction as surface_figures
from multifractal.reproduction import exponents
from multifractal.reproduction.claim import (
    CORRECTED,
    NOT_JUDGED,
    NOT_REPRODUCED,
    REPRODUCED,
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


# Generalisation

N_TRAIN = 512  # of 1797 digits, and of 1503 rows of airfoil self-noise: few, so that there is a gap
BATCHES = (8, 32, 128)
# learning rates, and the training loss at which a run stops: within reach of all nine settings, and chosen by that alone
RATES = {"digits": (0.03, 0.1, 0.3), "airfoil": (0.01, 0.03, 0.1), "diabetes": (0.01, 0.03, 0.1)}
_STOP = {"digits": 0.05, "airfoil": 0.2, "diabetes": 0.4}
_MAX_EPOCHS = 6000
_FEWEST = 5  # settings of a seed that must arrive
_STREAM = 41  # second index of what this claim draws
MEASURES = ("sharpness", "distance", "gap")
# name: (one measure, the other, sign that the claim asks for, words)
LINKS = {
    "flat": ("sharpness", "gap", 1, "sharpness with the test gap"),
    "drift": ("distance", "sharpness", -1, "distance from the start with sharpness"),
    "whole": ("distance", "gap", -1, "distance from the start with the test gap"),
}


def settings_of(table):
    """Return the nine (learning rate, batch size) of a table."""
    return [(rate, batch) for rate in RATES[table] for batch in BATCHES]


def _measure_generalisation(study):
    found = {}
    for name, (inputs, target, n_outputs) in _tables().items():
        runs = study.each(partial(_of_seed, study, name, inputs, target, n_outputs), title=name)
        found[name] = np.array(runs)
    return generalisation_numbers(found, partial(_call_of, study))


def _tables():
    """Return {name: (inputs, target, number of outputs)}: scikit-learn's digits, and airfoil self-noise or, without its file, diabetes."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    table = _table()
    inputs, target = table.standardised(len(table.target))
    return {"digits": (images / 16.0, digits, 10), table.name: (inputs, target, 1)}


def _of_seed(study, table, inputs, target, n_outputs, seed):
    """Return (sharpness, distance, gap) of the nine settings of a seed, (9, 3); NaN where a run does not arrive.

    The seed sets the rows that train, the start and the order of the rows; settings share all three.
    """
    from multifractal.training.minibatch import descend_in_batches

    rows = study.rng(seed, _STREAM).permutation(len(target))
    found = []
    for rate, batch in settings_of(table):
        ended = descend_in_batches(
            inputs[rows],
            target[rows],
            n_train=min(N_TRAIN, len(target) // 2),
            n_outputs=n_outputs,
            learning_rate=rate,
            batch_size=batch,
            stop_at=_STOP[table],
            max_epochs=study.repeats(_MAX_EPOCHS, least=60),
            rng=study.rng(seed, _STREAM + 1),
        )
        arrived = ended.train <= _STOP[table]
        found.append([getattr(ended, name) if arrived else np.nan for name in MEASURES])
    return found


def _call_of(study, table):
    return study.provenance(
        "descend_in_batches",
        table=table,
        n_train=N_TRAIN,
        learning_rates=RATES[table],
        batch_sizes=BATCHES,
        stop_at=_STOP[table],
        max_epochs=_MAX_EPOCHS,
    )


def generalisation_numbers(found, call):
    """Return the Measured of (sharpness, distance, gap) by table, each (n_seeds, 9, 3); NaN where a run did not arrive."""
    quantities, results = {}, {}
    for table, runs in found.items():
        told = call(table)
        of = dict(zip(MEASURES, np.moveaxis(runs, -1, 0), strict=True))
        for name, (one, other, sign, words) in LINKS.items():
            quantities[f"{table} {name}"] = Quantity.mean(
                f"{table}: rank correlation of {words}, over nine settings of a seed",
                [_rank_correlation(*pair) for pair in zip(of[one], of[other], strict=True)],
                told,
                over="seeds",
                published="positive" if sign > 0 else "negative",
            )
        value, ends = _at_equal_setting(of["sharpness"], of["gap"])
        quantities[f"{table} same setting"] = Quantity.single(
            f"{table}: sharpness with the test gap among seeds of one setting, mean over settings",
            value,
            told,
            interval=ends,
            over="seeds",
            n=len(runs),
        )
        noise = np.array([rate / batch for rate, batch in settings_of(table)])
        quantities[f"{table} knob"] = Quantity.mean(
            f"{table}: learning rate over batch size with the test gap",
            [_rank_correlation(noise, gap) for gap in of["gap"]],
            told,
            over="seeds",
        )
        quantities[f"{table} arrived"] = Quantity.single(
            f"{table}: share of runs that came to the training loss {_STOP[table]:g}",
            np.isfinite(runs[..., 0]).mean(),
            told,
            over="runs",
            n=runs[..., 0].size,
        )
        beyond = of["gap"] - mean_and_error(of["gap"], axis=1)[0][:, None]
        for k, (rate, batch) in enumerate(settings_of(table)):
            samples = np.column_stack([runs[:, k], beyond[:, k]])
            results[f"{table} {rate:g} {batch}"] = Curves(
                x=np.arange(samples.shape[1]), samples=samples, over="seeds", provenance=told
            )
    return Measured(quantities=quantities, results=results)


def _rank_correlation(one, other):
    """Return Spearman's correlation over the settings where both are known; NaN with fewer than 5, or where one is constant."""
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known], other[known]
    if known.sum() < _FEWEST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return np.nan
    return float(spearmanr(one, other).statistic)


def _at_equal_setting(one, other):
    """Return (mean over settings of the rank correlation among seeds, its jackknife interval over seeds)."""

    def mean(kept):
        each = [_rank_correlation(a, b) for a, b in zip(one[kept].T, other[kept].T, strict=True)]
        return np.mean([c for c in each if np.isfinite(c)] or [np.nan])

    seeds = np.arange(len(one))
    left_out = np.array([mean(np.delete(seeds, k)) for k in seeds])
    value = mean(seeds)
    if not np.isfinite(left_out).all():
        return value, (np.nan, np.nan)
    return value, tuple(jackknife_interval(value, left_out).tolist())


def _judge_generalisation(found):
    tables = [name.removesuffix(" flat") for name in found if name.endswith(" flat")]
    holding = {
        name: [table for table in tables if _holds(found[f"{table} {name}"], LINKS[name][2])]
        for name in LINKS
    }
    told = "; ".join(
        f"{table}: "
        + ", ".join(
            f"{words} {found[f'{table} {name}'].value:+.2f} "
            f"[{found[f'{table} {name}'].low:+.2f}, {found[f'{table} {name}'].high:+.2f}]"
            for name, (_, _, _, words) in LINKS.items()
        )
        for table in tables
    )
    told = f"Rank correlations over nine settings, {told}."
    told += " Among seeds of one setting sharpness goes with the gap by " + ", ".join(
        f"{found[f'{table} same setting'].value:+.2f} ({table})" for table in tables
    )
    told += ". A correlation is no cause: learning rate and batch size set all three."
    if all(len(holding[name]) == len(tables) for name in LINKS):
        return Judgement(
            REPRODUCED,
            f"Runs that drift further end flatter, and flatter ones generalise better. {told}",
        )
    if len(holding["flat"]) == len(tables):
        failing = ", ".join(
            f"{LINKS[name][3]} ({table})"
            for name in LINKS
            for table in tables
            if table not in holding[name]
        )
        return Judgement(
            CORRECTED,
            f"Flatter ends generalise better on both tables, but not by drifting further: the sign of {failing} is another, or "
            f"not settled. {told}",
        )
    return Judgement(
        NOT_REPRODUCED,
        "Flatter ends do not generalise better on "
        + " and ".join(table for table in tables if table not in holding["flat"])
        + f". {told}",
    )


def _holds(found, sign):
    return found.above(0) if sign > 0 else found.below(0)


GENERALISATION = Claim(
    "generalisation",
    "Drift to flat regions explains generalisation",
    "The abstract: the drift to flat regions explains why deep networks generalise. No number is given.",
    "On two tables, runs of one seed (same training rows, same start, same order of rows) differ in learning rate and batch size "
    "only, nine settings, and stop at one training loss, so that the test gap is compared at equal fit. The claim has three links: "
    "sharper ends have larger gaps, runs that went further from their start end flatter, and have smaller gaps. A link holds on "
    "a table if the mean over seeds of its rank correlation (Spearman) over the nine settings has the sign asked for with its "
    "whole interval. Reproduced if all three hold on both tables; with a correction if sharpness goes with the gap on both, but a "
    "link of the drift fails; else not reproduced. Written, with all settings, before any gap or sharpness had been looked at "
    "(the training losses were set where all settings arrive). Shown beside and not judged by: the correlation among seeds of one "
    "setting, which asks whether flatness itself or the setting goes with the gap, and that of learning rate over batch size. One "
    "thing was mended after a first report: it looked at the training loss once an epoch, so that fast runs stopped at half of it "
    "(first link: digits −0.54, airfoil +0.22; not reproduced); it is now looked at every 32 rows.",
    _measure_generalisation,
    _judge_generalisation,
    surface_figures.generalisation,
    "Test gap, less its mean over the nine settings of a seed, against sharpness (largest eigenvalue of the Hessian of the training "
    "loss) where runs come to one training loss: means over seeds by setting with 95 % intervals; networks with 16 hidden units, 512 "
    "rows for training.",
    Protocol(
        "An argument from the literature (flat minima generalise); no test loss is measured.",
        "Networks of the supplement's kind (16 hidden units) on scikit-learn's digits and on airfoil self-noise, descended in batches: "
        "what runs in minutes without torch. Larger networks may differ.",
        no_file="The paper measures no test loss.",
    ),
    headline={
        "digits flat": "digits: rank correlation of sharpness with the test gap",
        "digits drift": "of the distance from the start with sharpness",
        "digits whole": "and with the gap",
        "airfoil flat": "airfoil: of sharpness with the gap",
        "airfoil drift": "of the distance with sharpness",
        "airfoil whole": "and with the gap",
    },
    data=(AIRFOIL_FILE,),
)

CLAIMS = (TRAINING, GENERALISATION)
