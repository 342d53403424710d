"""Losses of the model as torch modules: any optimiser walks on them, and every probe of a network measures them."""
