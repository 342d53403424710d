"""The public functions of networks that are cheap to call, each with small arguments that it accepts."""

import numpy as np
import torch

import landscape_viz as lv


def calls():
    """Return {name: (function, arguments)}."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    data = torch.randn(12, 4), torch.randint(3, (12,))
    problem = lv.Problem(_network, model.state_dict(), "cross_entropy", data)
    plane, operator = lv.directions.random(problem, 2, rng=0), lv.HessianOperator(problem)
    states = [_network().state_dict() for _ in range(3)]
    images = lv.datasets.synthetic(input_shape=(1, 4, 4), n_train=20, n_test=10)
    return {
        "Problem": (
            lv.Problem,
            {
                "factory": _network,
                "state": model.state_dict(),
                "loss": "cross_entropy",
                "data": data,
                "batch_norm": "eval",
                "dropout": "off",
                "rng": 0,
            },
        ),
        "directions.random": (lv.directions.random, {"problem": problem, "n": 2, "rng": 0}),
        "directions.toward": (
            lambda problem, states: lv.directions.toward(problem, states),  # one of its *states
            {"problem": problem, "states": states[0]},
        ),
        "directions.combined": (
            lambda directions: lv.directions.combined(plane, directions),
            {"directions": plane},
        ),
        "directions.gram": (lv.directions.gram, {"vectors": np.ones((2, 9)), "block": 4}),
        "directions.random_walk_shares": (
            lv.directions.random_walk_shares,
            {"n_states": 9, "about": "end"},
        ),
        "directions.from_vectors": (
            lv.directions.from_vectors,
            {"problem": problem, "vectors": np.array(plane.vectors)},
        ),
        "batch_loss": (lv.batch_loss, {"function": _loss, "reduction": "mean"}),
        "section": (
            lv.section,
            {
                "problem": problem,
                "directions": plane,
                "axes": ["-1:1:3", "-1:1:2"],
                "metrics": ("loss",),
                "threads": 1,
                "device": "cpu",
                "at_once": None,
                "executor": None,
                "path": None,
                "resume": False,
                "overwrite": False,
                "progress": False,
            },
        ),
        "HessianOperator": (lv.HessianOperator, {"problem": problem}),
        "DifferenceHessian": (lv.DifferenceHessian, {"problem": problem, "step": None}),
        "top_eigenpairs": (
            lv.top_eigenpairs,
            {"operator": operator, "k": 2, "tol": 1e-2, "rng": 0},
        ),
        "trace": (lv.trace, {"operator": operator, "n_products": 8, "rng": 0}),
        "local_learning_coefficient": (
            lv.local_learning_coefficient,
            {
                "problem": problem,
                "learning_rate": 1e-3,
                "nbeta": None,
                "localization": 1.0,
                "n_chains": 2,
                "n_draws": 4,
                "n_burn_in": 2,
                "steps_per_draw": 1,
                "batch_size": None,
                "adjusted": False,
                "rng": 0,
                "device": "cpu",
                "executor": None,
                "path": None,
                "resume": False,
                "overwrite": False,
                "progress": False,
            },
        ),
        "gradient_noise": (
            lv.gradient_noise,
            {
                "problem": problem,
                "batch_size": 4,
                "n_batches": 100,
                "n_directions": 2,
                "rng": 0,
                "device": "cpu",
            },
        ),
        "linear_network_coefficient": (
            lv.linear_network_coefficient,
            {"widths": [3, 2, 4], "rank": 1},
        ),
        "monomial_coefficient": (lv.monomial_coefficient, {"exponents": [1, 2]}),
        "condition_number": (
            lv.condition_number,
            {"eigenvalues": [3.0, 1.0, 0.1], "threshold": 0.5},
        ),
        "spectral_density": (
            lv.spectral_density,
            {"operator": operator, "n_probes": 2, "n_steps": 5, "width": None, "rng": 0},
        ),
        "sam_sharpness": (
            lv.sharpness.sam_sharpness,
            {"problem": problem, "rho": 0.05, "device": "cpu"},
        ),
        "ball_sharpness": (
            lv.sharpness.ball_sharpness,
            {"problem": problem, "radius": 0.1, "n_samples": 3, "n_ascent": 2, "rng": 0},
        ),
        "keskar_sharpness": (
            lv.sharpness.keskar_sharpness,
            {"problem": problem, "epsilon": 1e-3, "n_iterations": 2},
        ),
        "directions.pca": (
            lv.directions.pca,
            {"problem": problem, "states": states, "n": 2, "about": "end"},
        ),
        "directions.hessian": (
            lv.directions.hessian,
            {"problem": problem, "n": 1, "tol": 1e-2, "rng": 0},
        ),
        "directions.displacements": (
            lv.directions.displacements,
            {"problem": problem, "states": states},
        ),
        "adaptive_sharpness": (
            lv.sharpness.adaptive_sharpness,
            {"problem": problem, "rho": 0.5, "device": "cpu"},
        ),
        "average_sharpness": (
            lv.sharpness.average_sharpness,
            {"problem": problem, "rho": 0.1, "n_samples": 3, "rng": 0},
        ),
        "fisher_rao_norm": (lv.sharpness.fisher_rao_norm, {"problem": problem, "device": "cpu"}),
        "scale_dependent_curvature": (
            lv.sharpness.scale_dependent_curvature,
            {"problem": problem, "epsilons": [0.1], "n_directions": 2, "rng": 0},
        ),
        "full_batch_descent": (
            lv.dynamics.full_batch_descent,
            {
                "problem": problem,
                "learning_rate": 0.1,
                "n_steps": 3,
                "sharpness_every": None,
                "keep_every": None,
                "tol": 1e-2,
            },
        ),
        "training_lyapunov": (
            lv.dynamics.training_lyapunov,
            {
                "problem": problem,
                "learning_rate": 0.1,
                "n_steps": 20,
                "burn_in": 0,
                "keep_every": None,
                "rng": 0,
            },
        ),
        "gradient_noise_scale": (
            lv.dynamics.gradient_noise_scale,
            {"problem": problem, "small": 2, "big": 6, "n_draws": 3, "rng": 0},
        ),
        "trained_path": (
            lv.trained_path,
            {
                "problem": problem,
                "other": _network().state_dict(),
                "kind": "bezier",
                "n_bends": 1,
                "n_steps": 2,
                "learning_rate": 0.01,
                "n_points": 3,
                "rng": 0,
            },
        ),
        "trajectory.project": (
            lv.trajectory.project,
            {"problem": problem, "states": states, "directions": plane, "threads": 1},
        ),
        "trajectory.losses_at": (
            lv.trajectory.losses_at,
            {"problem": problem, "directions": plane, "coordinates": [[0.0, 0.1]]},
        ),
        "trajectory.embedding": (
            lv.trajectory.embedding,
            {
                "problem": problem,
                "states": [_network().state_dict() for _ in range(8)],
                "perplexity": 2,
                "rng": 0,
                "progress": False,
            },
        ),
        "sequential_groups": (lv.sequential_groups, {"model": model}),
        "permuted": (
            lv.permuted,
            {
                "state": model.state_dict(),
                "groups": lv.sequential_groups(model),
                "permutations": [np.arange(5)],
            },
        ),
        "match": (
            lv.match,
            {
                "problem": problem,
                "other": model.state_dict(),
                "groups": None,
                "rng": 0,
                "max_sweeps": 5,
            },
        ),
        "linear_path": (
            lv.linear_path,
            {"problem": problem, "other": _network().state_dict(), "n_points": 3},
        ),
        "datasets.synthetic": (
            lv.datasets.synthetic,
            {
                "input_shape": (1, 4, 4),
                "n_classes": 3,
                "n_train": 20,
                "n_test": 10,
                "noise": 1.0,
                "rng": 0,
            },
        ),
        "datasets.load": (
            lv.datasets.load,
            {"name": "digits", "data_root": "nowhere", "download": False},
        ),
        "Dataset.batch": (images.batch, {"size": 5, "rng": 0, "random_labels": False}),
        "training.train": (
            lv.training.train,
            {
                "model": _image_network(),
                "data": images,
                "folder": None,
                "epochs": 1,
                "batch_size": 10,
                "optimizer": "sgd",
                "learning_rate": 0.01,
                "weight_decay": 0.0,
                "schedule": "constant",
                "save_every": 1,
                "rng": 0,
                "device": "cpu",
                "resume": False,
                "any_threads": False,
                "overwrite": False,
            },
        ),
        "training.evaluate": (
            lv.training.evaluate,
            {"model": model, "inputs": data[0], "targets": data[1], "device": "cpu"},
        ),
        "training.saved_epochs": (lv.training.saved_epochs, {"folder": "nowhere"}),
        "models.build": (
            lv.models.build,
            {"name": "mlp", "rng": 0, "input_shape": (1, 8, 8), "n_classes": 3},
        ),
        "checkpoint.load": (lv.checkpoint.load, {"path": "nothing-here.pt"}),
    }


def _loss(model, batch):
    return model(batch[0]).mean()


def _network():
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))


def _image_network():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 10))
