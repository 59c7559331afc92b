"""Streams of random numbers, one for each seed and purpose."""

import hashlib

import torch


def generator(seed: int, purpose: str) -> torch.Generator:
    """Return a stream of random numbers of its own, always on the CPU.

    Args:
        seed: Any integer.
        purpose: What it is for; each purpose of a seed has other numbers.

    Raises:
        ValueError: torch's default type is not float32, so that other numbers would be drawn.
    """
    if torch.get_default_dtype() != torch.float32:
        raise ValueError(
            f"torch's default type is {torch.get_default_dtype()}, allowed: torch.float32"
        )
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
