"""The experiments of Venturi, Bandeira and Bruna, "Spurious valleys in one-hidden-layer neural networks" (JMLR 20, 2019)."""
