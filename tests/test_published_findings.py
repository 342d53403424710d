"""docs/findings.md says what the command finds, and only what it shows."""

import re

import numpy as np
import pytest
from scipy import stats

import multifractal as mf
from experiments.published_findings import finding, show, source_files
from multifractal import source_data
from tests.conftest import SHARED
from tools import marks

PAGE = show.PAGE.read_text()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return all findings by title, with those about the paper's source data where these are kept beside the checkout."""
    folder = SHARED / "zenodo"
    folder = folder if show.at_hand(folder) else tmp_path_factory.mktemp("no_data")
    return [one for findings in show.main(["--data", str(folder)]).values() for one in findings]


def test_the_page_says_what_the_command_finds(found):
    """Texts word by word; numbers within rounding, or within five standard errors where they are drawn or chaotic."""
    for one in found:
        head, _, table = finding.markdown(one).partition("| | as published")
        assert head.strip() in PAGE, one.title
        for row in one.rows:
            told = re.search(
                rf"^\| {re.escape(row.quantity)} \| (.*) \| (.*) \| {re.escape(row.control)} \|$",
                PAGE.split(head)[1],
                re.MULTILINE,
            )
            for value, text in zip((row.published, row.correct), told.groups(), strict=True):
                assert (
                    value == text
                    if isinstance(value, str)
                    else value == pytest.approx(float(text), rel=max(row.tolerance, 5e-3))
                ), row.quantity


def test_each_finding_is_one(found):
    """Each row names what it is held against, and differs from it by more than the error: otherwise nothing was found."""
    for one in found:
        assert one.rows, one.title
        for row in one.rows:
            assert row.control, row.quantity
            assert row.differs, row


def test_the_file_of_one_half_is_no_finding(zenodo):
    """As the page says in words: there the fit agrees with the surface within its error."""
    curves = source_data.read("fractional_brownian_surfaces/TAMSD_H=0.5.mat", zenodo)
    fit = mf.fit_tamsd(curves["xs"][2], curves["ys"][2], learning_rate=1000.0)
    low, high = fit.hurst_interval
    assert low <= 0.5 <= high < 0.6


def test_what_is_no_finding_is_told():
    """Numbers that agree within their error, drawn or not, are no finding; those beyond it, or a word, are."""
    near = np.random.default_rng(0).normal(1.0, 0.1, 50)
    row = finding.Row.drawn("drawn", near, 1.0, "closed form")
    assert not row.differs
    low, high = stats.t.interval(0.95, 49, near.mean(), stats.sem(near))
    assert row.error == pytest.approx((high - low) / 2)
    beyond = near - near.mean() + 1 + 1.01 * row.error
    assert finding.Row.drawn("drawn", beyond, 1.0, "closed form").differs
    within = near - near.mean() + 1 + 0.99 * row.error
    assert not finding.Row.drawn("drawn", within, 1.0, "closed form").differs
    assert not finding.Row("zero", 0.01, 0.0, "closed form", error=0.02).differs
    assert not finding.Row("rounded", 1.0, 1.001, "closed form").differs
    assert finding.Row("rounded", 1.0, 1.01, "closed form").differs
    assert finding.Row("a word", 1.0, "refused", "closed form").differs


def test_nothing_else_is_on_the_page(found):
    """Each title of the page is one that the command prints; those on source data are known to it even without them."""
    titles = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)
    of_files = {function.__doc__.split("\n")[0].rstrip(".") for function in source_files.FINDINGS}
    assert set(titles) == {one.title for one in found} | of_files
    assert len(titles) >= 20


def test_the_page_is_written_by_the_command(found, tmp_path, monkeypatch, capsys):
    """--write puts what is printed between the marks, and leaves the rest."""
    page = tmp_path / "findings.md"
    page.write_text("before\n<!-- findings: begin -->\nold\n<!-- findings: end -->\nafter\n")
    monkeypatch.setattr(show, "PAGE", page)
    monkeypatch.setattr(show, "CHAPTERS", {"Files": ()})
    show.main(["--write"])
    assert marks.between(page, "findings") == f"\n{capsys.readouterr().out}"[:-1]
    assert page.read_text().startswith("before\n<!-- findings")
    assert page.read_text().endswith("-->\nafter\n")
