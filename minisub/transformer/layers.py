"""Layer norm, attention and MLP: each forward, and beside it the way back (its gradient).

Shapes: an activation is [models, tokens, width], where tokens = rows * length; inside attention it
is split by head and by row, [models * rows, length, d_head]. Norms have no gains and layers no
biases: the matrices next to them can express both, and the code stays short.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-5  # keeps a norm from dividing by zero
Hook = Callable[[str, Tensor], Tensor]


def call_hook(hook: Hook | None, name: str, x: Tensor, n_rows: int) -> Tensor:
    """Show an activation to a hook, as [models, rows, length, width], and return its answer.

    Args:
        hook: A function of a name and an activation, or None.
        name: The hook point.
        x: [models, tokens, width].
        n_rows: Rows of each model.
    """
    if hook is None:
        return x
    return hook(name, x.view(x.shape[0], n_rows, -1, x.shape[-1])).flatten(1, 2)


# Layer norm ---------------------------------------------------------------------------------------


class Normed(NamedTuple):
    """A normalised activation, and what the centred one was multiplied by."""

    x: Float[Tensor, "models tokens d_model"]
    scale: Float[Tensor, "models tokens 1"]


def layer_norm(
    x: Float[Tensor, "models tokens d_model"], mean: Float[Tensor, "d_model 1"]
) -> Normed:
    """Normalise each token's activation to mean 0 and variance 1.

    Args:
        x: The residual stream.
        mean: Holds 1 / d_model: at this width a product with it is the cheapest mean there is.
    """
    centred = x - x @ mean  # [models, tokens, d_model]
    scale = ((centred * centred) @ mean + EPSILON).rsqrt()  # [models, tokens, 1]
    return Normed(centred * scale, scale)


def layer_norm_backward(
    d_out: Float[Tensor, "models tokens d_model"],
    normed: Normed,
    mean: Float[Tensor, "d_model 1"],
) -> Float[Tensor, "models tokens d_model"]:
    """Return the gradient at the input of a norm from that at its output.

    Args:
        d_out: The gradient at its output.
        normed: What `layer_norm` returned.
        mean: Holds 1 / d_model.
    """
    along = (d_out * normed.x) @ mean  # [models, tokens, 1]
    return (d_out - d_out @ mean).addcmul_(normed.x, along, value=-1).mul_(normed.scale)


# Attention ----------------------------------------------------------------------------------------


class KVCache:
    """Keys and values of what a stack has read so far.

    Each block has room for the whole context from the start: [models * rows, n_ctx, 2 * d_model],
    keys of all heads first. Products and softmax of one size are faster than of a growing one.
    """

    def __init__(self) -> None:
        self.length = 0
        self.blocks: dict[str, Tensor] = {}

    def extend(
        self, name: str, k: Sequence[Tensor], v: Sequence[Tensor], n_ctx: int
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Keep a block's new keys and values; return all of them, by head.

        Args:
            name: The block.
            k: New keys by head, [models * rows, length, d_head].
            v: New values by head, the same shape.
            n_ctx: Tokens that there is room for.
        """
        new = [*k, *v]
        n, length, d_head = new[0].shape
        if name not in self.blocks:
            self.blocks[name] = new[0].new_zeros(n, n_ctx, d_head * len(new))
        kept = self.blocks[name]
        for i, head in enumerate(new):
            kept[:, self.length : self.length + length, i * d_head : (i + 1) * d_head] = head
        heads = torch.split(kept, d_head, -1)
        return heads[: len(k)], heads[len(k) :]


class AttentionActivations(NamedTuple):
    """What the way back through attention needs: a list by head each, and their mixture."""

    q: Sequence[Float[Tensor, "models_rows queries d_head"]]
    k: Sequence[Float[Tensor, "models_rows keys d_head"]]
    v: Sequence[Float[Tensor, "models_rows keys d_head"]]
    pattern: Sequence[Float[Tensor, "models_rows queries keys"]]
    z: Float[Tensor, "models tokens d_model"]


def causal_mask(n_queries: int, n_keys: int, like: Tensor) -> Float[Tensor, "queries keys"]:
    """Return 0 where a query may look, and minus infinity at later keys.

    Args:
        n_queries: Positions of the queries, the first ones.
        n_keys: Positions of the keys.
        like: A tensor of the wanted type and device.
    """
    return like.new_full((n_queries, n_keys), -torch.inf).triu(1)


def attention(
    x: Float[Tensor, "models tokens d_model"],
    W_QKV: Float[Tensor, "models d_model qkv"],
    mask: Float[Tensor, "positions keys"],
    n_rows: int,
    n_heads: int,
    n_queries: int,
    hook: Hook | None = None,
    cache: KVCache | None = None,
    name: str = "",
) -> AttentionActivations:
    """Mix the values of earlier positions, by head; the output matrix is applied by the caller.

    Heads are columns of one product and views into it, so that nothing is copied on the way.

    Args:
        x: The normalised residual stream.
        W_QKV: Queries, keys and values of all heads, side by side.
        mask: See `causal_mask`; its last rows are those of the queries.
        n_rows: Rows of each model.
        n_heads: Heads.
        n_queries: Only the last positions of each row are asked for.
        hook: Sees all heads at once, [models * rows, heads, length, ...].
        cache: Earlier keys and values, which grows by these.
        name: The start of the names of hook points, such as "blocks.0.attn.".
    """
    d_model, d_head = x.shape[-1], x.shape[-1] // n_heads

    def at_heads(point: str, each: Sequence[Tensor]) -> Sequence[Tensor]:
        return each if hook is None else hook(name + point, torch.stack([*each], 1)).unbind(1)

    qkv = torch.bmm(x, W_QKV)  # [models, tokens, 3 * d_model]
    qkv = qkv.view(x.shape[0] * n_rows, -1, 3 * d_model)  # [models * rows, length, 3 * d_model]
    heads = torch.split(qkv, d_head, -1)  # 3 * n_heads views, [models * rows, length, d_head]
    q = at_heads("hook_q", [head[:, -n_queries:] for head in heads[:n_heads]])
    k = at_heads("hook_k", heads[n_heads:-n_heads])
    v = at_heads("hook_v", heads[-n_heads:])
    if cache is not None:
        k, v = cache.extend(name, k, v, mask.shape[1])
    scores = [  # [models * rows, queries, keys]
        torch.baddbmm(mask[-n_queries:], a, b.mT, alpha=d_head**-0.5)
        for a, b in zip(q, k, strict=True)
    ]
    pattern = at_heads("hook_pattern", [s.softmax(-1) for s in scores])
    z = at_heads("hook_z", [torch.bmm(p, head) for p, head in zip(pattern, v, strict=True)])
    mixed = torch.cat([*z], -1).view(x.shape[0], -1, d_model)  # [models, rows * queries, d_model]
    return AttentionActivations(q, k, v, pattern, mixed)


def attention_backward(
    d_z: Float[Tensor, "models tokens d_model"], saved: AttentionActivations
) -> Float[Tensor, "models read qkv"]:
    """Return the gradient at queries, keys and values from that at their mixture.

    Args:
        d_z: The gradient at `saved.z`.
        saved: What `attention` returned.
    """
    n_queries, length = saved.pattern[0].shape[1:]
    d_head = saved.q[0].shape[-1]
    d_heads = torch.split(d_z.view(-1, n_queries, d_z.shape[-1]), d_head, -1)
    d_q, d_k, d_v = [], [], []
    for d, q, k, v, pattern in zip(d_heads, saved.q, saved.k, saved.v, saved.pattern, strict=True):
        d_v.append(torch.bmm(pattern.mT, d))  # [models * rows, length, d_head]
        d_pattern = torch.bmm(d, v.mT)  # [models * rows, queries, length]
        # Faster than pattern * (d_pattern - (d_pattern * pattern).sum(-1, keepdim=True)).
        d_scores = torch._softmax_backward_data(d_pattern, pattern, -1, pattern.dtype)
        d_scores = d_scores.mul_(d_head**-0.5)  # [models * rows, queries, length]
        d_q.append(torch.bmm(d_scores, k))  # [models * rows, queries, d_head]
        d_k.append(torch.bmm(d_scores.mT, q))  # [models * rows, length, d_head]
    if n_queries < length:  # positions that are not read out have no gradient at their query
        d_q = [F.pad(d, (0, 0, length - n_queries, 0)) for d in d_q]
    d_qkv = torch.cat([*d_q, *d_k, *d_v], -1)  # [models * rows, length, 3 * d_model]
    return d_qkv.view(d_z.shape[0], -1, d_qkv.shape[-1])  # [models, tokens, 3 * d_model]


# MLP ----------------------------------------------------------------------------------------------


def mlp(
    x: Float[Tensor, "models tokens d_model"],
    W_in: Float[Tensor, "models d_model d_mlp"],
    n_rows: int,
    hook: Hook | None = None,
    name: str = "",
) -> Float[Tensor, "models tokens d_mlp"]:
    """Return the hidden layer of the MLP; the output matrix is applied by the caller.

    Args:
        x: The normalised residual stream.
        W_in: The input matrix.
        n_rows: Rows of each model.
        hook: Sees the layer before and after its ReLU.
        name: The start of the names of hook points, such as "blocks.0.mlp.".
    """
    pre = call_hook(hook, name + "hook_pre", torch.bmm(x, W_in), n_rows)
    post = F.relu(pre, inplace=hook is None)  # a hook may have kept what came before
    return call_hook(hook, name + "hook_post", post, n_rows)


def mlp_backward(
    d_out: Float[Tensor, "models tokens d_model"],
    post: Float[Tensor, "models tokens d_mlp"],
    W_out: Float[Tensor, "models d_mlp d_model"],
) -> Float[Tensor, "models tokens d_mlp"]:
    """Return the gradient before the ReLU from that at the MLP's output.

    Args:
        d_out: The gradient at the output.
        post: What `mlp` returned.
        W_out: The output matrix.
    """
    d_pre = torch.bmm(d_out, W_out.mT)  # [models, tokens, d_mlp]
    # In place of d_pre * (post > 0), without a second tensor.
    torch.ops.aten.threshold_backward.grad_input(d_pre, post, 0, grad_input=d_pre)
    return d_pre
