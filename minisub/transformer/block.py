"""A block of the transformer, and the embedding before the first one.

Shapes as in `layers`: an activation is [models, tokens, width], where tokens = rows * length.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from minisub.transformer.layers import (
    AttentionActivations,
    Hook,
    KVCache,
    Normed,
    attention,
    call_hook,
    layer_norm,
    mlp,
)


class BlockActivations(NamedTuple):
    """What the way back through a block needs."""

    before_attention: Normed
    attention: AttentionActivations
    before_mlp: Normed
    post: Float[Tensor, "models tokens d_mlp"]


def add_projection(
    residual: Float[Tensor, "models tokens d_model"],
    x: Float[Tensor, "models tokens width"],
    W: Float[Tensor, "models width d_model"],
    n_rows: int,
    hook: Hook | None,
    name: str,
) -> Float[Tensor, "models tokens d_model"]:
    """Return residual + x W, the output of a layer added to the residual stream.

    Args:
        residual: The residual stream.
        x: Inside the layer.
        W: The layer's output matrix.
        n_rows: Rows of each model.
        hook: Sees the layer's output before it is added.
        name: Its hook point.
    """
    if hook is None:  # one operation instead of two, the same numbers
        return torch.baddbmm(residual, x, W)
    return residual + call_hook(hook, name, torch.bmm(x, W), n_rows)


def block_forward(
    params: Mapping[str, Tensor],
    block: int,
    x: Float[Tensor, "models tokens d_model"],
    mean: Float[Tensor, "d_model 1"],
    mask: Float[Tensor, "positions keys"],
    n_rows: int,
    n_heads: int,
    n_queries: int,
    hook: Hook | None = None,
    cache: KVCache | None = None,
) -> tuple[Float[Tensor, "models queried d_model"], BlockActivations]:
    """Return the residual stream after one block, and what the way back needs.

    Args:
        params: All parameters by name, [models, ...] each.
        block: Which block.
        x: The residual stream before it.
        mean: See `layer_norm`.
        mask: See `causal_mask`.
        n_rows: Rows of each model.
        n_heads: Heads.
        n_queries: The stream goes on at the last `n_queries` positions of each row only.
        hook: Sees every activation.
        cache: Keys and values of what was read before.
    """
    name = f"blocks.{block}."
    x = call_hook(hook, name + "hook_resid_pre", x, n_rows)
    before_attention = layer_norm(x, mean)
    mixed = attention(
        before_attention.x, params[name + "attn.W_QKV"], mask, n_rows, n_heads, n_queries,
        hook, cache, name + "attn.",
    )  # fmt: skip
    if n_rows * n_queries < x.shape[1]:
        rows = x.view(x.shape[0], n_rows, -1, x.shape[-1])  # [models, rows, length, d_model]
        x = rows[:, :, -n_queries:].reshape(mixed.z.shape)
    x = add_projection(x, mixed.z, params[name + "attn.W_O"], n_rows, hook, name + "hook_attn_out")
    x = call_hook(hook, name + "hook_resid_mid", x, n_rows)
    before_mlp = layer_norm(x, mean)
    post = mlp(before_mlp.x, params[name + "mlp.W_in"], n_rows, hook, name + "mlp.")
    x = add_projection(x, post, params[name + "mlp.W_out"], n_rows, hook, name + "hook_mlp_out")
    x = call_hook(hook, name + "hook_resid_post", x, n_rows)
    return x, BlockActivations(before_attention, mixed, before_mlp, post)


def embed(
    tokens: Int[Tensor, "models rows length"],
    W_E: Float[Tensor, "models d_vocab d_model"],
    W_pos: Float[Tensor, "models n_ctx d_model"],
    start: int = 0,
    hook: Hook | None = None,
) -> Float[Tensor, "models tokens d_model"]:
    """Return the residual stream before the first block: token plus position.

    Args:
        tokens: Token ids.
        W_E: Embeddings of tokens.
        W_pos: Embeddings of positions.
        start: Position of the first token.
        hook: Sees both parts.
    """
    n_rows, length = tokens.shape[1:]
    x = torch.stack([F.embedding(i, w) for i, w in zip(tokens.flatten(1), W_E, strict=True)])
    x = call_hook(hook, "hook_embed", x, n_rows)  # [models, tokens, d_model]
    positions = W_pos[:, None, start : start + length]  # [models, 1, length, d_model]
    if hook is not None:
        positions = hook("hook_pos_embed", positions)
    return (x.view(x.shape[0], n_rows, length, -1) + positions).flatten(1, 2)
