"""Random numbers: the same as torch's on the CPU, except for `multinomial`."""

from typing import Any

import numpy as np

from . import dtypes
from .dtypes import Array


class Generator:
    """A stream of random numbers: the Mersenne twister that torch has.

    Args:
        device: Only "cpu".
    """

    def __init__(self, device: str = "cpu") -> None:
        self._twister = np.random.MT19937()
        self._next_normal: float | None = None
        self.manual_seed(5489)

    def manual_seed(self, seed: int) -> "Generator":
        """Start the stream again.

        Args:
            seed: Of which 32 bits count.
        """
        self._twister._legacy_seeding(seed & 0xFFFFFFFF)
        self._next_normal = None
        return self

    def words(self, n: int) -> Array:
        """Return n words of 32 bits."""
        return self._twister.random_raw(n)

    def uniforms(self, n: int, is_double: bool = False) -> Array:
        """Return n numbers in [0, 1)."""
        if is_double:
            high, low = self.words(2 * n).reshape(-1, 2).T
            return ((high << np.uint64(32) | low) & np.uint64((1 << 53) - 1)) * 2.0**-53
        return ((self.words(n) & np.uint64((1 << 24) - 1)) * 2.0**-24).astype(np.float32)

    def normal(self) -> float:
        """Return one normal number; every other one was drawn before."""
        if self._next_normal is not None:
            kept, self._next_normal = self._next_normal, None
            return kept
        u1, u2 = self.uniforms(2, is_double=True)
        r, theta = np.sqrt(-2.0 * np.log1p(-u2)), 2.0 * np.pi * u1
        self._next_normal = float(r * np.sin(theta))
        return float(r * np.cos(theta))


_shared = Generator()


def default_generator(g: Generator | None) -> Generator:
    """Return a generator, or the shared one for None."""
    return _shared if g is None else g


def normals(n: int, g: Generator) -> Array:
    """Return n normal numbers, by pairs in chunks of sixteen, as torch fills a tensor.

    Args:
        n: How many.
        g: The stream.
    """
    if n < 16:
        return np.array([g.normal() for _ in range(n)], dtypes.DEFAULT.np)
    u = g.uniforms(n)
    whole = n // 16 * 16
    out = np.concatenate([_box_muller(u[:whole].reshape(-1, 16)).ravel(), u[whole:]])
    if whole < n:  # the last sixteen are drawn once more
        out[-16:] = _box_muller(g.uniforms(16)[None]).ravel()
    return out


def _box_muller(u: Array) -> Array:
    one, two = np.float32(1), np.float32(-2)
    radius = np.sqrt(two * np.log(one - u[:, :8]))
    theta = np.float32(2 * np.pi) * u[:, 8:]
    return np.concatenate([radius * np.cos(theta), radius * np.sin(theta)], 1)


def integers(low: int, high: int, n: int, g: Generator) -> Array:
    """Return n whole numbers from low to high - 1.

    Args:
        low: The least.
        high: One more than the largest.
        n: How many.
        g: The stream.
    """
    return (g.words(n) % np.uint64(high - low)).astype(np.int64) + low


def permutation(n: int, g: Generator) -> Array:
    """Return the numbers from 0 to n - 1 in a random order.

    Args:
        n: How many.
        g: The stream.
    """
    out = list(range(n))
    if n > 1:
        steps = g.words(n - 1) % np.arange(n, 1, -1, dtype=np.uint64)
        for i, step in enumerate(steps.tolist()):
            out[i], out[i + step] = out[i + step], out[i]
    return np.array(out, np.int64)


def choices(probs: Array, n: int, g: Generator) -> Array:
    """Return n draws from each row of weights; not the numbers that torch draws.

    Args:
        probs: [rows, choices], not negative.
        n: Draws from each row.
        g: The stream.
    """
    if n != 1:
        raise NotImplementedError("one draw a row in the browser")
    cumulative = probs.astype(np.float64).cumsum(1)
    u: Any = g.uniforms(len(probs), is_double=True)[:, None] * cumulative[:, -1:]
    return (cumulative <= u).sum(1, keepdims=True).clip(max=probs.shape[1] - 1)
