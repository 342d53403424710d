"""The supplement's experiment: full-batch descent of a small network on a table, its run on disk, its displacement and chaos."""
