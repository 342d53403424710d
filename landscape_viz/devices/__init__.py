"""Where a loss is computed: the ranks of a distributed job, the device that a worker takes, and where its data lie."""
