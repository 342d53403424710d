"""Two optimisers that torch does not have, as users write them: SAM around another one, and a Muon-like one."""

import torch


class Sam(torch.optim.Optimizer):
    """Sharpness-aware minimisation around plain SGD (Foret et al. 2021): its step needs a closure."""

    def __init__(self, params, lr, rho=0.05):
        super().__init__(params, {"lr": lr, "rho": rho})
        self.base = torch.optim.SGD(self.param_groups, lr=lr)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def step(self, closure):
        """Step by the gradient at w + rho g / |g|."""
        moved = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in moved]).norm() + 1e-12
        up = [self.param_groups[0]["rho"] / norm * p.grad for p in moved]
        for p, e in zip(moved, up, strict=True):
            p.add_(e)
        with torch.enable_grad():
            closure()
        for p, e in zip(moved, up, strict=True):
            p.sub_(e)
        self.base.step()


class MuonLike(torch.optim.Optimizer):
    """Momentum whose matrices are orthogonalised (Jordan et al. 2024), exactly by SVD here; vectors go by their sign."""

    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        """Step by the orthogonal factor of the momentum."""
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.mul_(group["momentum"]).add_(p.grad)
                p.sub_(group["lr"] * _direction(m))


def _direction(m):
    if m.ndim < 2:
        return m.sign()
    u, _, v = torch.linalg.svd(m.flatten(1), full_matrices=False)
    return (u @ v).view_as(m)
