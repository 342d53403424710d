"""What a network's loss is a function of, and its value, gradient and Hessian product: one definition for every probe."""
