"""The reproduction report: each claim of the paper measured from scratch and judged by a stated rule.

``python -m multifractal.reproduction`` writes one self-contained page. A `Claim` is measured on a `Study`, which may also
hold control landscapes, so that the same measurement and the same rule show what they say where the claim is known not to
hold.
"""
