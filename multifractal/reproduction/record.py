"""The numbers and verdicts of a report, kept as JSON; docs/reproduction.md and docs/to_the_authors.md are written from them."""

import json
import math
from dataclasses import asdict
from pathlib import Path

from multifractal.base import files
from multifractal.base.result import Provenance
from multifractal.reproduction.claim import VERDICTS, Quantity
from multifractal.reproduction.page import claims, unusual_of, value_in_words


def keep(findings, study, path):
    """Write what the findings of a study say as JSON; claims that a record of the same study holds besides stay in it."""
    others = _stored(path)["claims"] if is_of(path, study) else {}
    found = others | {
        finding.claim.name: {
            "verdict": finding.judgement.verdict,
            "reason": finding.judgement.reason,
            "quantities": {
                name: _plain(found) for name, found in finding.measured.quantities.items()
            },
        }
        for finding in findings
    }
    order = [claim.name for claim in claims() if claim.name in found]
    kept = {"study": study.settings(), "claims": {name: found[name] for name in order}}
    text = json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with files.atomic_write(Path(path), overwrite=True) as file:
        file.write(text.encode())


def is_of(path, study):
    """Tell whether there is a record at `path`, of a study of the same settings."""
    return Path(path).exists() and _stored(path)["study"] == study.settings()


def _stored(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def kept(path):
    """Return (settings of the study, {name of the claim: (verdict, reason, {name: Quantity})})."""
    stored = _stored(path)
    return stored["study"], {
        name: (
            each["verdict"],
            each["reason"],
            {key: _quantity(found) for key, found in each["quantities"].items()},
        )
        for name, each in stored["claims"].items()
    }


def readme_table(path):
    """Return the page's words and table."""
    study, found = kept(path)
    counted = "; ".join(
        f"{n} {verdict}"
        for verdict in VERDICTS
        if (n := sum(each[0] == verdict for each in found.values()))
    )
    lines = [
        f"`make report` measures {len(found)} claims on {study['n_surfaces']} fresh surfaces of {study['size']}² (or walks, "
        f"paths, training runs), seed {study['seed']}, and judges each by a rule that it prints: {counted}. Intervals are of "
        "95 %, over surfaces unless said otherwise.",
        "",
        "| claim of the paper | verdict | what we find |",
        "|---|---|---|",
    ]
    for claim in claims():
        verdict, _, quantities = found[claim.name]
        numbers = "; ".join(
            f"{words}: {value_in_words(quantities[name])}"
            for name, words in claim.headline.items()
            if name in quantities  # those of the paper's files are there where the files are
        )
        mark = " †" if unusual_of(quantities)[1] else ""
        lines.append(f"| {claim.title} | {verdict}{mark} | {numbers or '–'} |")
    return "\n".join(
        [
            *lines,
            "",
            "† A file of the paper is no ordinary draw (95 %) of the protocol that we attribute to it: something in it is unknown to us.",
        ]
    )


def authors_page(path):
    """Return the part of docs/to_the_authors.md that is written from results: five lines a claim."""
    study, found = kept(path)
    parts = []
    for claim in claims():
        verdict, reason, quantities = found[claim.name]
        told, _ = unusual_of(quantities)
        parts += [
            f"## {claim.title}",
            "",
            f"- **You state:** {claim.statement}",
            f"- **Your protocol, as we read it:** {claim.protocol.paper}",
            f"- **Ours:** {claim.protocol.ours}",
            f"- **We find ({verdict}):** {reason}"
            + (f" Your file beside draws of your protocol: {'; '.join(told)}." if told else ""),
            f"- **Command:** `python -m multifractal.reproduction --only {claim.name} --surfaces {study['n_surfaces']} "
            f"--seed {study['seed']}`",
            "",
        ]
    return "\n".join(parts).rstrip()


def _plain(found):
    """Return a Quantity as JSON holds it: without its provenance, and None for what is not known."""
    fields = asdict(found) | {"provenance": found.provenance.call}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in fields.items()
    }


def _quantity(fields):
    numbers = {
        name: math.nan if fields[name] is None else fields[name]
        for name in ("value", "low", "high", "spread")
    }
    return Quantity(**(fields | numbers | {"provenance": Provenance(fields["provenance"])}))
