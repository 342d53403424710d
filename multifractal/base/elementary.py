"""Elementary functions whose bits do not depend on the processor: exp, log, power, sin(pi x), cos(pi x), ln Gamma, digamma and trigamma.

numpy and the C library choose other code for these on other processors, and its last bits differ; a chaotic walk then ends
elsewhere. Here they are made of +, -, x and / in a written order, which IEEE 754 rounds the same everywhere, and which the
compiler may vectorise but neither reorder nor contract. Error below 0.6 units in the last place (tested against mpmath).

Symbols: a number is carried as high + low where one double is too short (T. J. Dekker, Numer. Math. 18 (1971) 224).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from multifractal.base.kernels import kernel
from multifractal.base.types import Array, ArrayLike

# division by zero gives inf here, as in numpy: a check that raises would keep loops from being vectorised
_kernel = kernel(error_model="numpy")
_inline = kernel(error_model="numpy", inline="always")
_LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has 32 trailing zero bits, so that its products with exponents are exact
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
LN2 = 0.6931471805599453
_PI_HIGH, _PI_LOW = math.pi, 1.2246467991473532e-16
_THIRD_HIGH, _THIRD_LOW = 1 / 3, 1.850371707708594e-17
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_ONE_BITS = 1023 << 52
_EXP = tuple(1 / math.factorial(n) for n in range(2, 15))
_ATANH = tuple(1 / (2 * n + 1) for n in range(2, 14))
_SIN = tuple((-1) ** n / math.factorial(2 * n + 1) for n in range(1, 10))
_COS = tuple((-1) ** n / math.factorial(2 * n) for n in range(2, 10))
# B_2n / (2n (2n-1)) and B_2n / (2n), of Stirling's series: exact to rounding from 10 on
_LOG_GAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_TRIGAMMA = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)  # B_2n
_HALF_LOG_TAU = 0.9189385332046727
_STIRLING_FROM = 12.0


def exp(x: ArrayLike) -> Any:
    """Return e^x of an array or number, float64."""
    return _over(_exp_all, x)


def log(x: ArrayLike) -> Any:
    """Return ln x of an array or number, float64: -inf at 0, NaN below."""
    return _over(_log_all, x)


def power(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x^y of arrays or numbers, float64, for x >= 0 (NaN below 0)."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    out = np.empty(x.shape)
    _power_all(np.ravel(x), np.ravel(y), out.reshape(-1))
    return out[()]


def sinpi(x: ArrayLike) -> Any:
    """Return sin(pi x) of an array or number, float64."""
    return _over(_sinpi_all, x)


def cospi(x: ArrayLike) -> Any:
    """Return cos(pi x) of an array or number, float64."""
    return _over(_cospi_all, x)


def log_gamma(x: ArrayLike) -> Any:
    """Return ln Gamma(x) of positive numbers, float64; the error is some 1e-15, absolute up to 10 and relative beyond."""
    return _over(_log_gamma_all, x)


def digamma(x: ArrayLike) -> Any:
    """Return the derivative of ln Gamma at positive numbers, float64; the error is as that of `log_gamma`."""
    return _over(_digamma_all, x)


def trigamma(x: ArrayLike) -> Any:
    """Return the second derivative of ln Gamma at positive numbers, float64; the error is some 1e-15, relative."""
    return _over(_trigamma_all, x)


def _over(loop: Callable[[Array, Array], None], x: ArrayLike) -> Any:
    x = np.asarray(x, np.float64)
    out = np.empty(x.shape)
    loop(np.ravel(x), out.reshape(-1))
    return out[()]


@_inline
def _product(a: float, b: float) -> tuple[float, float]:
    """Return a b as high + low, exactly."""
    high = a * b
    c, d = 134217729.0 * a, 134217729.0 * b
    a_high, b_high = c - (c - a), d - (d - b)
    a_low, b_low = a - a_high, b - b_high
    return high, a_low * b_low - (((high - a_high * b_high) - a_low * b_high) - a_high * b_low)


@_inline
def _exp_of_sum(high: float, low: float) -> float:
    """Return e^(high + low), |low| far below |high|."""
    x = min(max(high, -800.0), 800.0)  # beyond, 0 and inf; NaN comes back at the end
    k = np.rint(x * _LOG2_E)
    r = x - k * _LN2_HIGH
    rest = (
        low if x == high else 0.0
    ) - k * _LN2_LOW  # where |high| is large, low is no longer small
    s = r + rest
    rest = rest - (s - r)
    q = _EXP[12]
    for n in range(11, -1, -1):
        q = _EXP[n] + s * q
    one_and_s = 1.0 + s
    value = one_and_s + ((s - (one_and_s - 1.0)) + (s * s * q + rest * one_and_s))
    half = np.int64(k) >> 1  # in two factors, so that neither overflows
    first = np.int64((half << 52) + _ONE_BITS).view(np.float64)
    second = np.int64(((np.int64(k) - half) << 52) + _ONE_BITS).view(np.float64)
    value = value * first * second
    return value if high == high else high


@_inline
def _log_as_sum(x: float) -> tuple[float, float]:
    """Return ln x as high + low with some 65 good bits, for positive finite x."""
    small = x < 2.3e-308
    bits = np.float64(x * 18014398509481984.0 if small else x).view(np.int64)
    shift = (bits - _SQRT_HALF_BITS) >> 52
    m = np.int64(bits - (shift << 52)).view(np.float64)  # from sqrt(1/2) to sqrt(2)
    k = np.float64(shift) - (54.0 if small else 0.0)
    # ln m = 2 artanh(s) = 2 (s + s z/3 + s z^2/5 + ...), s = (m - 1)/(m + 1), z = s^2
    f, d = m - 1.0, m + 1.0
    d_rest = m - (d - 1.0)
    s = f / d
    p, p_rest = _product(s, d)
    s_rest = (((f - p) - p_rest) - s * d_rest) / d
    z, z_rest = _product(s, s)
    z_rest += 2.0 * s * s_rest
    q = _ATANH[11]
    for n in range(10, -1, -1):
        q = _ATANH[n] + z * q
    u, u_rest = _product(z, _THIRD_HIGH)
    u_rest += z * _THIRD_LOW + z_rest * _THIRD_HIGH + z * z * q
    t, t_rest = _product(s, u)
    t_rest += s * u_rest + s_rest * u
    high = s + t
    low = (t - (high - s)) + (s_rest + t_rest)
    high, low = 2.0 * high, 2.0 * low
    total = k * _LN2_HIGH + high
    low += (high - (total - k * _LN2_HIGH)) + k * _LN2_LOW
    return total, low


@_kernel
def exp_of(x: float) -> float:
    """Return e^x of one number (kernel)."""
    return _exp_of_sum(x, 0.0)


@_kernel
def log_of(x: float) -> float:
    """Return ln x of one number (kernel)."""
    if not 0.0 < x < np.inf:
        return -np.inf if x == 0.0 else (x if x > 0.0 else np.nan)
    high, low = _log_as_sum(x)
    return high + low


@_kernel
def power_of(x: float, y: float) -> float:
    """Return x^y of two numbers, x >= 0 (kernel)."""
    return _power_inside(x, y) if 0.0 < x < np.inf and abs(y) < 1e19 else _power_at_ends(x, y)


@_inline
def _power_inside(x: float, y: float) -> float:
    high, low = _log_as_sum(x)
    p, p_rest = _product(high, y)
    return _exp_of_sum(p, p_rest + low * y)


@_kernel
def _power_at_ends(x: float, y: float) -> float:
    if y == 0.0 or x == 1.0:
        return 1.0
    if not x >= 0.0 or y != y:
        return np.nan
    return np.inf if (x > 1.0) == (y > 0.0) else 0.0


@_inline
def _sine_and_cosine(x: float) -> tuple[float, float, float]:
    """Return (sin(pi r), cos(pi r), n mod 4), r = x - n/2 within 1/4 of 0."""
    n = np.rint(2.0 * x)
    r = x - 0.5 * n
    theta, rest = _product(r, _PI_HIGH)
    rest += r * _PI_LOW
    z = theta * theta
    p = _SIN[8]
    for i in range(7, -1, -1):
        p = _SIN[i] + z * p
    q = _COS[7]
    for i in range(6, -1, -1):
        q = _COS[i] + z * q
    half = 0.5 * z
    one_less_half = 1.0 - half
    # z rounds theta^2; what it lost enters the cosine at its full weight
    z_rest = _product(theta, theta)[1]
    cosine = one_less_half + (
        ((1.0 - one_less_half) - half) + (z * z * q - theta * rest - 0.5 * z_rest)
    )
    return theta + (rest + theta * z * p), cosine, n - 4.0 * np.floor(0.25 * n)


@_kernel
def sinpi_of(x: float) -> float:
    """Return sin(pi x) of one number (kernel)."""
    sine, cosine, quarter = _sine_and_cosine(x)
    value = cosine if quarter == 1.0 else sine
    value = -sine if quarter == 2.0 else value
    return -cosine if quarter == 3.0 else value


@_kernel
def cospi_of(x: float) -> float:
    """Return cos(pi x) of one number (kernel)."""
    sine, cosine, quarter = _sine_and_cosine(x)
    value = -sine if quarter == 1.0 else cosine
    value = -cosine if quarter == 2.0 else value
    return sine if quarter == 3.0 else value


@_kernel
def log_gamma_of(x: float) -> float:
    """Return ln Gamma of one positive number (kernel): Stirling's series, after steps up to where it is exact."""
    product = 1.0
    while x < _STIRLING_FROM:
        product *= x
        x += 1.0
    z, series = 1.0 / (x * x), 0.0
    for n in range(6, -1, -1):
        series = _LOG_GAMMA[n] + z * series
    return (x - 0.5) * log_of(x) - x + _HALF_LOG_TAU + series / x - log_of(product)


@_kernel
def digamma_of(x: float) -> float:
    """Return the derivative of ln Gamma at one positive number (kernel)."""
    steps = 0.0
    while x < _STIRLING_FROM:
        steps += 1.0 / x
        x += 1.0
    z, series = 1.0 / (x * x), 0.0
    for n in range(6, -1, -1):
        series = _DIGAMMA[n] + z * series
    return log_of(x) - 0.5 / x - z * series - steps


@_kernel
def trigamma_of(x: float) -> float:
    """Return the second derivative of ln Gamma at one positive number (kernel)."""
    steps = 0.0
    while x < _STIRLING_FROM:
        steps += 1.0 / (x * x)
        x += 1.0
    z, series = 1.0 / (x * x), 0.0
    for n in range(6, -1, -1):
        series = _TRIGAMMA[n] + z * series
    return 1.0 / x + 0.5 * z + z * series / x + steps


@_kernel
def _exp_all(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = exp_of(x[i])


@_kernel
def _log_all(x: Array, out: Array) -> None:
    for i in range(len(x)):
        high, low = _log_as_sum(x[i])
        out[i] = high + low
    for i in range(len(x)):  # apart, so that the first loop is vectorised
        if not 0.0 < x[i] < np.inf:
            out[i] = log_of(x[i])


@_kernel
def _power_all(x: Array, y: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = _power_inside(x[i], y[i])
    for i in range(len(x)):  # apart, as above
        if not (0.0 < x[i] < np.inf and abs(y[i]) < 1e19):
            out[i] = _power_at_ends(x[i], y[i])


@_kernel
def _sinpi_all(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = sinpi_of(x[i])


@_kernel
def _cospi_all(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = cospi_of(x[i])


@_kernel
def _log_gamma_all(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = log_gamma_of(x[i])


@_kernel
def _digamma_all(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = digamma_of(x[i])


@_kernel
def _trigamma_all(x: Array, out: Array) -> None:
    for i in range(len(x)):
        out[i] = trigamma_of(x[i])
