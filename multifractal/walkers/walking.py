"""How a chunk of walkers advances: in lockstep on a grid between walls, or together on a field without walls.

A walker's bits do not depend on the walkers beside it. In the kernels: g gradient, m velocity, s second moment (Adam),
v a coordinate.
"""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np

from multifractal.base.chunks import map_chunks
from multifractal.base.kernels import kernel
from multifractal.landscapes.fields import add_waves
from multifractal.landscapes.landscape import (
    Landscape,
    _values_at,
    cell_and_weights,
    interpolate_gradient,
    interpolate_value,
)
from multifractal.walkers.noise import draw
from multifractal.walkers.optimizers import CURVATURE, GD, NO_NOISE, Rule, direction
from multifractal.walkers.walls import Torus, fold

# enough to hide the latency of memory, few enough that what they write goes to few places at a time
_WALKERS_IN_LOCKSTEP = 8
# steps between two looks at whether the user has stopped it; noise is drawn for so many at a time
_STEPS_PER_BLOCK, _STEPS_ALONE = 1000, 100_000
_PLACES_PER_CHUNK = 2**16  # whose losses a thread reads at a time

_State = namedtuple("_State", "position track sign velocity square decay")


@dataclass(frozen=True, eq=False)
class Plan:
    """How to walk, already checked: the settings that every chunk of walkers shares."""

    rule: Rule
    n_steps: int
    exact: bool  # the unfolded track follows reflections
    first: int  # the first position that is kept
    every: int

    @property
    def steps(self):
        """How many steps were taken at each kept position."""
        return np.arange(self.first, self.n_steps + 1, self.every)

    def room(self, n_walkers, dimension, losses=True):
        """Return empty (positions, unfolded, losses, steps taken) for this number of walkers; without losses, (n_walkers, 0)."""
        kept = -(-(self.n_steps + 1 - self.first) // self.every)
        positions, unfolded = np.empty((2, n_walkers, kept, dimension))
        read = np.empty((n_walkers, kept if losses else 0))
        return positions, unfolded, read, np.empty(n_walkers, np.int64)


def walk_together(landscape, plan, starts, rates, streams, out):
    """Walk from `starts` (n, d) at `rates` (n,), one noise stream a walker if the rule is noisy, into `out` as of `room`.

    On a grid the losses may be left out, which `losses_along` reads later.
    """
    rule, on_grid = plan.rule, isinstance(landscape, Landscape)
    if on_grid and len(rates) == 1 and rule.code == GD and rule.noise == NO_NOISE:
        return _walk_alone(landscape, plan, starts[0], rates[0], *out)
    walk = _walk_on_grid if on_grid else _walk_on_field
    position, track, sign, velocity, square = np.zeros((5, *starts.shape))
    position[:] = track[:] = starts
    sign[:] = 1.0
    state = _State(position, track, sign, velocity, square, np.array([1.0, 1.0]))
    out[3][:] = plan.n_steps
    walk(landscape, plan, state, rates, streams, *out)


def losses_along(landscape, positions):
    """Return the losses at positions (..., 2) of walks on a grid: NaN where a walker was stopped."""
    places, out = positions.reshape(-1, 2), np.empty(positions.shape[:-1])
    read, firsts = out.reshape(-1), range(0, out.size, _PLACES_PER_CHUNK)
    spans = [slice(first, first + _PLACES_PER_CHUNK) for first in firsts]
    map_chunks(_values_at, [(landscape.values, places[span], read[span]) for span in spans])
    return out


def _walk_alone(landscape, plan, start, rate, positions, unfolded, losses, taken):
    ground = landscape.values, landscape.gradient, isinstance(landscape, Torus)
    x, y = start
    state = np.array((x, y, x, y, 1.0, 1.0))
    taken[0] = plan.n_steps
    for begin in range(0, plan.n_steps + 1, _STEPS_ALONE):
        end = min(begin + _STEPS_ALONE, plan.n_steps + 1)
        span = begin, end, plan.n_steps, plan.first, plan.every
        _alone(*ground, state, rate, *span, plan.exact, positions, unfolded, losses, taken)


def _walk_on_grid(landscape, plan, state, rates, streams, positions, unfolded, losses, taken):
    rule, out = plan.rule, (positions, unfolded, losses, taken)
    ground = landscape.values, landscape.gradient, isinstance(landscape, Torus)
    for begin in range(0, plan.n_steps + 1, _STEPS_PER_BLOCK):
        end = min(begin + _STEPS_PER_BLOCK, plan.n_steps + 1)
        span = begin, end, plan.n_steps, plan.first, plan.every
        rules = rule.code, rule.numbers, rule.noise, _noise(rule, streams, end - begin, 2)
        _lockstep(*ground, state, rates, *span, plan.exact, *out, *rules)


def _noise(rule, streams, n_steps, dimension):
    """Draw the next `n_steps` steps' noise of each walker, (n, n_steps, d)."""
    if rule.noise == NO_NOISE:
        return np.empty((0, 0, dimension))
    return rule.noise_scale * np.stack(
        [draw(rule, stream, (n_steps, dimension)) for stream in streams]
    )


def _walk_on_field(field, plan, state, rates, streams, positions, unfolded, losses, taken):
    """Walk where there are no walls; each walker is evaluated alone, since a matrix product's bits depend on its size."""
    rule, moving = plan.rule, np.arange(len(rates))
    waves = getattr(field, "only_waves", None)
    if waves is not None and rule.noise == NO_NOISE:
        rest = (field.reach, plan.n_steps, plan.first, plan.every, positions, losses, taken)
        for begin in range(0, plan.n_steps + 1, _STEPS_PER_BLOCK):  # so that it can be interrupted
            end = min(begin + _STEPS_PER_BLOCK, plan.n_steps + 1)
            _advance_on_waves(waves, state, rates, rule.code, rule.numbers, begin, end, *rest)
        unfolded[:] = positions
        return
    values, gradient = np.full(len(rates), np.nan), np.zeros_like(state.position)
    for t in range(plan.n_steps + 1):
        for w in moving:
            # a copy: what a user's function does with its argument must not move the walker
            values[w], gradient[w] = field.value_and_gradient(state.position[w].copy())
        if t >= plan.first and (t - plan.first) % plan.every == 0:
            kept = (t - plan.first) // plan.every
            positions[:, kept], unfolded[:, kept], losses[:, kept] = (
                state.position,
                state.position,
                values,
            )
        if t == plan.n_steps:
            break
        for w in moving if rule.noise != NO_NOISE else ():
            gradient[w] += _noise_on_field(field, rule, streams[w], state.position[w])
        _step_freely(state, gradient, rates, rule.code, rule.numbers)
        lost = moving[~(np.abs(state.position[moving]).max(axis=1) < field.reach)]
        state.position[lost] = values[lost] = np.nan
        taken[lost] = t
        moving = np.setdiff1d(moving, lost)


def _noise_on_field(field, rule, stream, position):
    noise = draw(rule, stream, position.shape)
    if rule.noise == CURVATURE:
        noise = field.hessian_product(position.copy(), noise)
    return rule.noise_scale * noise


@kernel
def _step_freely(state, gradient, rates, rule, p):
    """Take one step of every walker without walls; a stopped one stays NaN."""
    position, _, _, velocity, square, decay = state
    decay[0] *= p[0]
    decay[1] *= p[1]
    for w in range(len(position)):
        for k in range(position.shape[1]):
            g, velocity[w, k], square[w, k] = direction(
                rule, p, gradient[w, k], velocity[w, k], square[w, k], decay
            )
            position[w, k] -= g * rates[w]


@kernel
def _advance_on_waves(
    waves, state, rates, rule, p, begin, end, reach, n_steps, first, every, positions, losses, taken
):
    """Take steps begin..end on a `FractalField` of one piece and one exponent: what `_walk_on_field` does, to the bit."""
    position, nowhere, sums = state.position, np.empty((0, 2)), np.full((len(rates), 2), np.nan)
    gradient = np.zeros_like(position)
    for t in range(begin, end):
        for w in range(len(rates)):
            if position[w, 0] == position[w, 0]:
                sums[w] = 0.0
                gradient[w] = 0.0
                here = slice(w, w + 1)
                add_waves(waves, position[here], nowhere, sums[here], gradient[here])
        if t >= first and (t - first) % every == 0:
            k = (t - first) // every
            for w in range(len(rates)):
                losses[w, k] = sums[w, 0]
                for i in range(position.shape[1]):
                    positions[w, k, i] = position[w, i]
        if t == n_steps:
            break
        _step_freely(state, gradient, rates, rule, p)
        for w in range(len(rates)):
            if sums[w, 0] == sums[w, 0] and not np.abs(position[w]).max() < reach:
                position[w] = np.nan
                sums[w, 0] = np.nan
                taken[w] = t


@kernel
def interpolate_jacobian(gradient, x, y):
    """Return (d_x gx, d_y gx, d_x gy, d_y gy), the derivative of the interpolated gradient inside its cell (kernel)."""
    i, j, a, b, c, d = cell_and_weights(x, y, gradient.shape[0], gradient.shape[1])
    xx = (gradient[j, i + 1, 0] - gradient[j, i, 0]) * c + (
        gradient[j + 1, i + 1, 0] - gradient[j + 1, i, 0]
    ) * d
    xy = (gradient[j + 1, i, 0] - gradient[j, i, 0]) * a + (
        gradient[j + 1, i + 1, 0] - gradient[j, i + 1, 0]
    ) * b
    yx = (gradient[j, i + 1, 1] - gradient[j, i, 1]) * c + (
        gradient[j + 1, i + 1, 1] - gradient[j + 1, i, 1]
    ) * d
    yy = (gradient[j + 1, i, 1] - gradient[j, i, 1]) * a + (
        gradient[j + 1, i + 1, 1] - gradient[j, i + 1, 1]
    ) * b
    return xx, xy, yx, yy


@kernel
def _alone(
    values,
    gradient,
    periodic,
    state,
    rate,
    begin,
    end,
    n_steps,
    first,
    every,
    exact,
    positions,
    unfolded,
    losses,
    taken,
):
    """Take steps begin..end of plain descent by one walker, its state in registers: what `_lockstep` does, to the bit."""
    wall_x, wall_y = gradient.shape[1] - 1.0, gradient.shape[0] - 1.0
    here, along, loss, asked = positions[0], unfolded[0], losses[0], losses.shape[1] > 0
    x, y, track_x, track_y = state[0], state[1], state[2], state[3]
    sign_x, sign_y = state[4], state[5]
    k = max(0, -((first - begin) // every))  # the next that is kept, and after how many steps
    keep = first + k * every
    for t in range(begin if x == x else end, end):
        if t == keep:
            here[k, 0], here[k, 1] = x, y
            along[k, 0], along[k, 1] = track_x, track_y
            if asked:
                loss[k] = interpolate_value(values, x, y)
            k += 1
            keep += every
        if t == n_steps:
            break
        gx, gy = interpolate_gradient(gradient, x, y)
        dx, dy = gx * rate, gy * rate
        track_x -= sign_x * dx
        track_y -= sign_y * dy
        x -= dx
        y -= dy
        if not (0 <= x <= wall_x and 0 <= y <= wall_y):
            x, turned_x = fold(x, wall_x, periodic)
            y, turned_y = fold(y, wall_y, periodic)
            if exact:
                sign_x *= turned_x
                sign_y *= turned_y
            if x != x or y != y:
                x = y = track_x = track_y = np.nan
                taken[0] = t
                break
    while keep < end:  # once it was stopped
        here[k] = along[k] = np.nan
        if asked:
            loss[k] = np.nan
        k += 1
        keep += every
    state[0], state[1], state[2], state[3] = x, y, track_x, track_y
    state[4], state[5] = sign_x, sign_y


@kernel
def _lockstep(
    values,
    gradient,
    periodic,
    state,
    rates,
    begin,
    end,
    n_steps,
    first,
    every,
    exact,
    positions,
    unfolded,
    losses,
    taken,
    rule,
    p,
    noise_kind,
    noise,
):
    """Take steps begin..end, some walkers in lockstep: they do not wait for each other, so memory latencies overlap."""
    wall_x, wall_y = gradient.shape[1] - 1.0, gradient.shape[0] - 1.0
    position, track, sign, velocity, square, decay = state
    powers, asked = decay.copy(), losses.shape[1] > 0
    for low in range(0, len(position), _WALKERS_IN_LOCKSTEP):
        group = range(low, min(low + _WALKERS_IN_LOCKSTEP, len(position)))
        powers[0], powers[1] = decay[0], decay[1]
        for t in range(begin, end):
            if t >= first and (t - first) % every == 0:
                k = (t - first) // every
                for w in group:
                    x, y = position[w, 0], position[w, 1]
                    positions[w, k, 0], positions[w, k, 1] = x, y
                    unfolded[w, k, 0], unfolded[w, k, 1] = track[w, 0], track[w, 1]
                    if asked:
                        losses[w, k] = interpolate_value(values, x, y) if x == x else np.nan
            if t == n_steps:
                break
            powers[0] *= p[0]
            powers[1] *= p[1]
            for w in group:
                x, y = position[w, 0], position[w, 1]
                if x != x:  # stopped before
                    continue
                gx, gy = interpolate_gradient(gradient, x, y)
                if noise_kind != NO_NOISE:
                    nx, ny = noise[w, t - begin, 0], noise[w, t - begin, 1]
                    if noise_kind == CURVATURE:
                        xx, xy, yx, yy = interpolate_jacobian(gradient, x, y)
                        nx, ny = xx * nx + xy * ny, yx * nx + yy * ny
                    gx += nx
                    gy += ny
                if rule != GD:  # which has no memory to load and store
                    gx, velocity[w, 0], square[w, 0] = direction(
                        rule, p, gx, velocity[w, 0], square[w, 0], powers
                    )
                    gy, velocity[w, 1], square[w, 1] = direction(
                        rule, p, gy, velocity[w, 1], square[w, 1], powers
                    )
                dx, dy = gx * rates[w], gy * rates[w]
                track[w, 0] -= sign[w, 0] * dx
                track[w, 1] -= sign[w, 1] * dy
                x -= dx
                y -= dy
                if not (0 <= x <= wall_x and 0 <= y <= wall_y):
                    x, sign_x = fold(x, wall_x, periodic)
                    y, sign_y = fold(y, wall_y, periodic)
                    velocity[w, 0] *= sign_x
                    velocity[w, 1] *= sign_y
                    if exact:
                        sign[w, 0] *= sign_x
                        sign[w, 1] *= sign_y
                    if x != x or y != y:
                        x = y = track[w, 0] = track[w, 1] = np.nan
                        taken[w] = t
                position[w, 0], position[w, 1] = x, y
    decay[0], decay[1] = powers[0], powers[1]
