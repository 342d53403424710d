"""An analysis in words: each number with its size, its uncertainty and its caveat; never a bare verdict."""

# (field, unremarkable below, large above, what it is called): thresholds of the analyzers that this one replaces, our words.
_THRESHOLDS = (
    (
        "condition_number",
        100,
        1000,
        "Condition number",
        "gradient descent along the flat directions is slower than along the steep ones by this factor; it covers only "
        "eigenvalues above the threshold",
    ),
    (
        "sharpness",
        0.1,
        1,
        "Sharpness",
        "rise of the loss at the worst point sampled in the ball, a lower bound; rescaling a ReLU network changes it without "
        "changing the function, so it does not compare networks",
    ),
    (
        "num_negative_eigenvalues",
        0.5,
        5,
        "Negative eigenvalues",
        "directions in which the loss curves down more than the threshold; a few are usual before convergence",
    ),
)


def in_words(analysis, connectivity=None):
    """Return an `Analysis`, and what `compute_mode_connectivity` returned, one line per number."""
    lines = [
        _line(label, getattr(analysis, field), low, high, caveat, analysis.uncertainty.get(field))
        for field, low, high, label, caveat in _THRESHOLDS
    ]
    if connectivity is not None:
        caveat = (
            "of the straight line only: a curved path, or permuting hidden units, may have none"
        )
        lines.append(_line("Barrier", connectivity["barrier_height"], 0.1, 1, caveat, None))
    return "\n".join(lines)


def _line(label, value, low, high, caveat, uncertainty):
    size = (
        f"below {low}"
        if value < low
        else f"above {high}"
        if value > high
        else f"between {low} and {high}"
    )
    known = (
        f" ({uncertainty})"
        if isinstance(uncertainty, str)
        else f" ± {uncertainty:.2g}"
        if uncertainty
        else ""
    )
    return f"{label}: {value:.4g}{known}, {size}. Caveat: {caveat}."
