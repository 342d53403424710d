"""Claim on generalisation: that the flat regions which descent drifts to generalise better. Not judged without a network."""

from multifractal.reproduction.claim import NOT_JUDGED, Claim, Judgement, Measured, Protocol


def _measure(study):
    return Measured(quantities={}, results={})


def _judge(found):
    return Judgement(
        NOT_JUDGED,
        "A model surface has no test loss, and this report does without networks (and without torch). No result on flatness "
        "and test loss is kept with this package yet.",
    )


GENERALISATION = Claim(
    "generalisation",
    "Drift to flat regions explains generalisation",
    "The abstract: the drift to flat regions explains why deep networks generalise.",
    "Not judged: it needs the flatness and the test loss of trained networks, measured together over many runs.",
    _measure,
    _judge,
    None,
    "",
    Protocol(
        "An argument from the literature (flat minima generalise); no test loss is measured.",
        "None. The drift itself, on the model, is a claim of its own.",
    ),
)

CLAIMS = (GENERALISATION,)
