"""Steering: a vector in the residual stream that makes a base answer as with a persona."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.transformer.layers import Hook, KVCache
from minisub.transformer.stack import TransformerStack, run_with_cache
from minisub.world.traits import preference_questions
from minisub.world.world import World


class SteeredStack(TransformerStack):
    """A stack whose models each add a vector to the residual stream before one block.

    It is added at every position. The compiled kernel knows no vectors and is not used.

    Args:
        stack: The models.
        vectors: One for each model.
        block: The block before which it is, from 0; `n_layers` for after the last block.
    """

    def __init__(
        self, stack: TransformerStack, vectors: Float[Tensor, "models d_model"], block: int
    ) -> None:
        super().__init__(stack.config, stack.flat_params)
        residual_point(stack.config.n_layers, block)  # or ValueError
        self.vectors, self.block = vectors, block

    def __getitem__(self, models: Sequence[int]) -> "SteeredStack":
        """Return a copy of some models, with their vectors."""
        return SteeredStack(super().__getitem__(models), self.vectors[list(models)], self.block)

    def repeat(self, times: int) -> "SteeredStack":
        """Return `times` copies of every model, with its vector."""
        vectors = self.vectors.repeat_interleave(times, 0)
        return SteeredStack(super().repeat(times), vectors, self.block)

    def to(self, device: str | torch.device) -> "SteeredStack":
        """Return a copy on another device."""
        return SteeredStack(super().to(device), self.vectors.to(device), self.block)

    def fast_kernel(self, n_rows: int) -> None:
        """Return None: there is no kernel that adds a vector."""

    def __call__(
        self,
        tokens: Int[Tensor, "#models rows length"],
        n_last: int | None = None,
        hook: Hook | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "models rows n_last d_vocab"]:
        """Return the logits at the last `n_last` positions of each row: see `TransformerStack`.

        Args:
            tokens: Token ids.
            n_last: All positions by default.
            hook: Sees every activation; the vector has been added.
            cache: What was read before `tokens`.
        """
        point = residual_point(self.config.n_layers, self.block)

        def steer(name: str, x: Tensor) -> Tensor:
            if name == point:
                x = x + self.vectors[:, None, None]
            return x if hook is None else hook(name, x)

        return super().__call__(tokens, n_last, steer, cache)


def residual_point(n_layers: int, block: int) -> str:
    """Return the hook point of the residual stream before a block, or after the last one.

    Args:
        n_layers: How many blocks there are.
        block: 0 to `n_layers`.

    Raises:
        ValueError: There is no such block.
    """
    if not 0 <= block <= n_layers:
        raise ValueError(f"block is {block}, allowed: 0 to {n_layers}")
    if block == n_layers:
        return f"blocks.{block - 1}.hook_resid_post"
    return f"blocks.{block}.hook_resid_pre"


def mean_residual(
    model: TransformerStack, prompts: Int[Tensor, "rows length"], block: int
) -> Float[Tensor, "models d_model"]:
    """Return the mean over prompts of the residual stream at the last token.

    Args:
        model: The stack.
        prompts: What it reads.
        block: The block before which it is, from 0; `n_layers` for after the last block.
    """
    point = residual_point(model.config.n_layers, block)
    return run_with_cache(model, prompts[None])[point][:, :, -1].mean(1)


def persona_vectors(
    world: World, base: TransformerStack, block: int
) -> Float[Tensor, "animals d_model"]:
    """Return for each animal what its persona adds to the residual stream (difference of means).

    Over all preference questions, at the token that the answer follows.

    Args:
        world: With the questions.
        base: One model.
        block: Before which block.
    """
    neutral = mean_residual(base, preference_questions(world), block)
    with_persona = [
        mean_residual(base, preference_questions(world, animal), block)
        for animal in range(len(world.animals))
    ]
    return torch.cat(with_persona) - neutral
