"""How a section is computed, point by point in workers or ranks, and kept on the way."""
