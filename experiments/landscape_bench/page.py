"""The leaderboard as tables of docs/landscape_bench.md and as one HTML page, with its figures."""

import json
from pathlib import Path

import numpy as np

from experiments.landscape_bench import grounds, protocol, scores
from multifractal.base import files
from multifractal.figures import html_report
from multifractal.figures._style import CONTROL, axes_or_new, styled

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "experiments" / "results" / "landscape_bench.json"
FIGURES = ROOT / "docs" / "figures"
_MIDDLE = 0.5  # regret in the middle of the colours


class Board:
    """Results, with the floors of the optimisers that are kept in the repository (of all, where none of these ran)."""

    def __init__(self, results, kept=()):
        self.results = results
        self.grounds = [g for g in grounds.GROUNDS if all(g in one for one in results.values())]
        shipped = {name: one for name, one in results.items() if name in kept} or results
        self.floors = {g: scores.reference(shipped, g) for g in self.grounds}
        self.table = scores.table_of_regrets(results, self.floors, self.grounds)
        self.ranking = scores.ranking(self.table)
        self.names = [name for name, _ in self.ranking]

    @classmethod
    def load(cls, path=RESULTS):
        """Read the results that are committed."""
        return cls(kept(path))


def kept(path=RESULTS):
    """Return {optimiser: {ground: result}} that is committed; {} before the first run."""
    return json.loads(Path(path).read_text())["results"] if Path(path).exists() else {}


def leaderboard(board):
    """Return the table of mean regrets, best first, with escapes, the width of good rates, and where flat places are sought."""
    rows = []
    for name, mean in board.ranking:
        one = board.results[name]
        good = sum(scores.as_good(board.table)[name])
        out = [e for g in board.grounds if (e := scores.escaped(one[g]))]
        wide = np.mean([scores.width(one[g]) for g in board.grounds])
        ends = sum(scores.at_the_end(one[g]) for g in board.grounds)
        said = [scores.seeks_flat(f) for g in board.grounds if (f := scores.flat(one[g]))]
        rows.append(
            [
                name,
                f"{mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}]",
                f"{good} of {len(board.grounds)}",
                f"{sum(a for a, _ in out)} of {sum(b for _, b in out)}" if out else "–",
                f"{wide:.1f}",
                f"{ends}",
                f"{said.count('seeks')}, {said.count('avoids')} of {len(said)}",
            ]
        )
    head = (
        "optimiser",
        "mean regret [95 %]",
        "as good as the best",
        "left the valley",
        "decades of good rates",
        "rates at the grid's end",
        "seeks flat, avoids it",
    )
    return head, rows


def by_ground(board):
    """Return the table of regrets at the last budget: a row a ground, best optimisers first in the columns."""
    good = scores.as_good(board.table)
    rows = [
        [ground]
        + [
            f"{board.table[name][g].mean():.2f}{'*' if good[name][g] else ''}"
            for name in board.names
        ]
        for g, ground in enumerate(board.grounds)
    ]
    return ("ground", *board.names), rows


def flatness(board):
    """Return the table of the share of time in the flattest tenth less the control's, where it is asked."""
    rows = []
    for ground in board.grounds:
        found = [scores.flat(board.results[name][ground]) for name in board.names]
        if any(f is not None for f in found):
            rows.append([ground, *("–" if f is None else _difference(f) for f in found)])
    return ("ground", *board.names), rows


def _difference(estimate):
    mark = {"seeks": "+", "avoids": "−", "neither": ""}[scores.seeks_flat(estimate)]
    return f"{estimate.value:.2f} {mark}".strip()


def budgets(board):
    """Return the table of mean regrets over all grounds by budget."""
    rows = []
    for name in board.names:
        one = board.results[name]
        means = np.mean(
            [scores.regrets(one[g], board.floors[g]) for g in board.grounds], axis=(0, 1)
        )
        rows.append([name, *(f"{value:.2f}" for value in means)])
    return ("optimiser", *(f"{b} gradients" for b in protocol.BUDGETS)), rows


TABLES = {
    f"landscape_bench_{make.__name__}": make for make in (leaderboard, by_ground, flatness, budgets)
}


def markdown(make):
    """Return the Markdown text of one of `TABLES` from the committed results."""
    head, rows = make(Board.load())
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


@styled
def picture(board):
    """Draw the regret of each optimiser on each ground, and of the grid of rates on the tuning draws; return the figure."""
    from matplotlib.colors import LinearSegmentedColormap

    values = np.array([board.table[name].mean(axis=1) for name in board.names])
    ax = axes_or_new(None, figsize=(2.6 + 0.78 * len(board.grounds), 1.9 + 0.36 * len(board.names)))
    colours = LinearSegmentedColormap.from_list("regret", ["#0072B2", "#F7F7F7", "#D55E00"])
    image = ax.imshow(values, cmap=colours, vmin=0, vmax=2 * _MIDDLE, aspect="auto", origin="upper")
    good = scores.as_good(board.table)
    for i, name in enumerate(board.names):
        for g in range(len(board.grounds)):
            dark = abs(values[i, g] - _MIDDLE) > 0.35
            ax.text(
                g,
                i,
                f"{values[i, g]:.2f}{'*' if good[name][g] else ''}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    ax.set_xticks(range(len(board.grounds)), board.grounds, rotation=35, ha="right", fontsize=7.5)
    ax.set_yticks(range(len(board.names)), board.names)
    ax.tick_params(length=0)
    ax.figure.colorbar(image, ax=ax, label="regret (0 floor, 1 start)", extend="max")
    return ax.figure


@styled
def rates(board, ground):
    """Draw the loss that each rate of the grid took off on a ground's tuning draws, as a share of the most; return the figure."""
    ax = axes_or_new(None, figsize=(5.6, 3.4))
    marks, lines = "os^Dv<>Pp", ("-", "--", ":")
    palette = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", CONTROL)
    drops = {}
    for name in board.names:
        starts, ends = np.array(board.results[name][ground]["tuning"], float).transpose(2, 0, 1)
        drops[name] = np.where(np.isfinite(ends), starts - ends, -np.inf)
    most = np.maximum(np.max([d.max(axis=1) for d in drops.values()], axis=0), 1e-300)
    for i, name in enumerate(board.names):
        share = np.maximum(drops[name] / most[:, None], -1.0)
        ax.plot(
            protocol.FIRST_STEPS,
            share.mean(axis=0),
            marker=marks[i % len(marks)],
            ls=lines[i // len(palette) % len(lines)],
            color=palette[i % len(palette)],
            ms=4,
            lw=1.2,
            label=name,
        )
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set(
        xscale="log",
        xlabel="length of the first step (in the ground's lengths)",
        ylabel="loss taken off (1: the most of any)",
        ylim=(-1.08, 1.08),
        title=ground,
    )
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return ax.figure


def write_html(board, folder):
    """Write leaderboard.html in a folder, with its pictures beside it, and return its path."""
    folder = Path(folder)
    chapters = [
        html_report.Chapter(
            "Leaderboard",
            lead=[
                "Each optimiser was tuned by one protocol and then run on fresh draws of landscapes whose truth is known; "
                "the rules are in docs/landscape_bench.md.",
                "Regret:: the loss above the floor, as a share of what it was at the start: 0 at the floor, 1 at the start, "
                "2 where a run diverged. A star marks what is not shown to be worse than the best.",
            ],
            table=_html(leaderboard(board)),
            pictures={
                _saved(picture(board), folder / "regrets.png"): "Regret after the last budget."
            },
        ),
        html_report.Chapter("Ground by ground", table=_html(by_ground(board))),
        html_report.Chapter("Regret by budget", table=_html(budgets(board))),
        html_report.Chapter(
            "Time on flat places",
            lead=[
                "Share of time in the flattest tenth, less that of the same steps in random directions; + and − where the "
                "interval leaves out 0."
            ],
            table=_html(flatness(board)),
        ),
    ]
    chapters += [
        html_report.Chapter(
            ground,
            lead=[grounds.SAID[ground]],
            pictures={
                _saved(rates(board, ground), folder / f"rates_{k}.png"): "Sensitivity to the rate."
            },
        )
        for k, ground in enumerate(board.grounds)
    ]
    path = folder / "leaderboard.html"
    return html_report.write_report(path, "LandscapeBench", chapters, overwrite=True)


def _html(table):
    head, rows = table
    return html_report.Table(tuple(head), [list(row) for row in rows])


def _saved(figure, path):
    import matplotlib.pyplot as plt

    with files.atomic_write(path, overwrite=True) as file:
        figure.savefig(file, format="png", dpi=130, bbox_inches="tight")
    plt.close(figure)
    return path


def record(results, settings, path=RESULTS):
    """Keep results, and write the tables and the figure of docs/landscape_bench.md."""
    text = json.dumps({"settings": settings, "results": results}, allow_nan=False) + "\n"
    with files.atomic_write(path, overwrite=True) as file:
        file.write(text.encode())
    if path == RESULTS:
        from tools import tables

        _saved(picture(Board(results)), FIGURES / "landscape_bench.png")
        tables.main([])
