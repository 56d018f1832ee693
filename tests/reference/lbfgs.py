"""Textbook L-BFGS with a fixed step, in NumPy, and its matrix form.

Source: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithms 7.4 and
7.5 and equations 7.16 to 7.20. The choices that the book leaves open are those of
``torch.optim.LBFGS(lr=1, history_size=m, line_search_fn=None)``: every step has
length 1 but for the first, which is min(1, 1/|g|_1) along -g; a pair with
<s, y> <= 1e-10 is not stored; H0 = <s, y>/<y, y> of the newest stored pair.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]
FunctionAndGradient = Callable[[np.ndarray], tuple[float, np.ndarray]]
Product = Callable[[np.ndarray, Sequence[Pair]], np.ndarray]

CURVATURE_FLOOR = 1e-10


def two_loop(gradient: np.ndarray, pairs: Sequence[Pair]) -> np.ndarray:
    """Inverse Hessian times gradient by the two-loop recursion (algorithm 7.4).

    Args:
        gradient: ``(n,)``.
        pairs: (s, y), each ``(n,)``, oldest first; identity if there are none.
    """
    q = gradient.copy()
    alphas = []
    for s, y in reversed(pairs):
        alpha = np.dot(s, q) / np.dot(y, s)
        q = q - alpha * y
        alphas.append(alpha)
    r = initial_scale(pairs) * q
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        beta = np.dot(y, r) / np.dot(y, s)
        r = r + (alpha - beta) * s
    return r


def explicit_product(gradient: np.ndarray, pairs: Sequence[Pair]) -> np.ndarray:
    """The same product through the ``(n, n)`` matrix; for small n only."""
    return inverse_hessian(pairs, gradient.size) @ gradient


def inverse_hessian(pairs: Sequence[Pair], size: int) -> np.ndarray:
    """The matrix H that the pairs, oldest first, stand for (equations 7.16, 7.17).

    H <- V^T H V + rho s s^T with rho = 1/<y, s> and V = I - rho y s^T.
    """
    identity = np.eye(size)
    H = initial_scale(pairs) * identity
    for s, y in pairs:
        rho = 1.0 / np.dot(y, s)
        V = identity - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
    return H


def initial_scale(pairs: Sequence[Pair]) -> float:
    """H0 = <s, y>/<y, y> of the newest pair (equation 7.20); 1 if there is none."""
    if not pairs:
        return 1.0
    s, y = pairs[-1]
    return float(np.dot(s, y) / np.dot(y, y))


def iterates(
    fun_and_grad: FunctionAndGradient,
    x0: np.ndarray,
    history: int,
    product: Product = two_loop,
) -> Iterator[tuple[float, np.ndarray]]:
    """Endless (loss, x) pairs from x0 on, one evaluation each (algorithm 7.5).

    Args:
        fun_and_grad: x ``(n,)`` -> (loss, gradient ``(n,)``).
        x0: start ``(n,)``.
        history: how many pairs are kept.
        product: gives H times the gradient from the gradient and the pairs.
    """
    pairs: list[Pair] = []
    x = x0.astype(np.float64)
    loss, gradient = fun_and_grad(x)
    step = -gradient * min(1.0, 1.0 / float(np.sum(np.abs(gradient))))
    while True:
        yield loss, x
        x = x + step
        previous = gradient
        loss, gradient = fun_and_grad(x)
        y = gradient - previous
        if np.dot(step, y) > CURVATURE_FLOOR:
            pairs = [*pairs, (step, y)][-history:]
        step = -product(gradient, pairs)


def minimise(
    fun_and_grad: FunctionAndGradient,
    x0: np.ndarray,
    steps: int,
    history: int,
    product: Product = two_loop,
) -> list[float]:
    """The losses of the first ``steps`` evaluations; the first is that of x0.

    Args as in ``iterates``.
    """
    found = islice(iterates(fun_and_grad, x0, history, product), steps)
    return [loss for loss, _ in found]
