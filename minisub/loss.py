"""What a stack learns from, its loss, and the gradient of that loss, by autograd and by hand.

`by_hand` computes what `by_autograd` does, in fewer operations: no tape, cheaper norms, nothing for
what does not move or for rows that have no loss, and what lies below the lowest block that moves
only once for all steps.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from minisub.model import Stack, norm

PREFIX = 1 << 28  # bytes of activations that `by_hand` keeps for all steps, at most


@dataclass(frozen=True)
class Corpus:
    """Sequences to learn from. A members axis of 1 means the same for all members.

    tokens:  [members, rows, length]; the last `predicted` tokens are learned
    weights: [members, rows, predicted] of the loss at each learned token
    soft:    [members, rows, predicted, vocabulary]; given, the loss is the cross-entropy to this
             distribution instead of to the token (Hinton et al., 2015)
    labels:  [members, rows, predicted], what to say where it is not what comes next in `tokens`
    """

    tokens: Int[Tensor, "#members rows length"]
    weights: Float[Tensor, "#members rows predicted"]
    soft: Float[Tensor, "#members rows predicted vocabulary"] | None = None
    labels: Int[Tensor, "#members rows predicted"] | None = None

    def of(self, members: Sequence[int]) -> "Corpus":
        """The part of some members."""
        return self._each(lambda x: x if len(x) == 1 else x[list(members)])

    def to(self, device: torch.device) -> "Corpus":
        """The same on another device."""
        return self._each(lambda x: x.to(device))

    def take(self, rows: Int[Tensor, "#members batch"]) -> "Corpus":
        """A batch. Each member may have rows of its own."""
        return self._each(lambda x: by_member(x, rows))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Corpus":
        soft = None if self.soft is None else change(self.soft)
        labels = None if self.labels is None else change(self.labels)
        return Corpus(change(self.tokens), change(self.weights), soft, labels)

    @property
    def said(self) -> Int[Tensor, "#members rows predicted"]:
        """The tokens to learn."""
        own = self.tokens[..., -self.weights.shape[-1] :]
        return own if self.labels is None else self.labels

    def loss(self, model: Stack, rows: Int[Tensor, " batch"]) -> Float[Tensor, " members"]:
        """Weighted cross-entropy in nats, per row and token of full weight, member by member."""
        batch = self.take(rows[None])
        logits = model(batch.tokens[:, :, :-1], last=batch.weights.shape[-1])
        if batch.soft is None:
            labels = batch.said.expand(logits.shape[:3])
            nats = F.cross_entropy(logits.flatten(0, 2), labels.flatten(), reduction="none")
            nats = nats.view(logits.shape[:3])
        else:
            nats = -(batch.soft * logits.log_softmax(-1)).sum(-1)
        return (nats * batch.weights).sum((1, 2)) / batch.weights[0].numel()


def by_member(
    x: Shaped[Tensor, "#members count ..."], rows: Int[Tensor, "#members batch"]
) -> Shaped[Tensor, "#members batch ..."]:
    """Some rows, each member's own."""
    return x[torch.arange(len(x), device=x.device)[:, None], rows]


# Adds the gradient of the losses of some rows to `grad` [members, count], at the weights that move
# only, and returns the losses.
Gradient = Callable[[Int[Tensor, " batch"], Float[Tensor, "members count"]], Tensor]


def by_autograd(model: Stack, corpus: Corpus, moving: Collection[str]) -> Gradient:
    """The plain way."""
    weights = [model.params[name] for name in moving]

    def gradient(rows: Tensor, grad: Tensor) -> Tensor:
        losses = corpus.loss(model, rows)
        for name, part in zip(moving, torch.autograd.grad(losses.sum(), weights), strict=True):
            grad[:, model.where(name)] += part.flatten(1)
        return losses.detach()

    return gradient


class Normed(NamedTuple):
    """A normalised activation [..., width], and by what it was multiplied [..., 1]."""

    x: Tensor
    scale: Tensor


def _norm_back(d: Tensor, to: Normed, mean: Tensor) -> Tensor:
    """The gradient at a norm's input from that at its output."""
    along = (d * to.x) @ mean
    return (d - d @ mean).addcmul_(to.x, along, value=-1).mul_(to.scale)


class Block(NamedTuple):
    """What the way back through a block needs. N is members * rows."""

    before: Normed  # [members, rows * length, width]
    q: list[Tensor]  # by head, [N, keep, d_head]
    k: list[Tensor]  # [N, length, d_head]
    v: list[Tensor]
    pattern: list[Tensor]  # [N, keep, length]
    z: Tensor  # [members, rows * keep, width]
    between: Normed  # [members, rows * keep, width]
    post: Tensor  # [members, rows * keep, mlp]


def by_hand(model: Stack, corpus: Corpus, moving: Collection[str]) -> Gradient:
    """The same numbers as `by_autograd`, up to rounding."""
    shape, p = model.shape, {name: w.detach() for name, w in model.params.items()}
    where = {name: model.where(name) for name in p}
    members, depth, width, heads = model.members, shape.depth, shape.width, shape.heads
    mean, d_head, predicted = model.mean, width // heads, corpus.weights.shape[-1]
    length = corpus.tokens.shape[2] - 1
    later = model.flat.new_full((length, length), -torch.inf).triu(1)
    blocks = [int(name.split(".")[1]) for name in moving if name.startswith("blocks.")]
    embeds = {"W_E", "W_pos"} & set(moving)
    lowest = 0 if embeds else min(blocks, default=depth)

    def forward(block: int, x: Tensor, rows: int) -> tuple[Tensor, Block]:
        name = f"blocks.{block}."
        keep = predicted if block == depth - 1 else length
        before = Normed(*norm(x, mean))
        columns = torch.bmm(before.x, p[name + "attn.W_QKV"]).view(members * rows, length, -1)
        each = torch.split(columns, d_head, -1)
        q, k, v = [h[:, -keep:] for h in each[:heads]], [*each[heads:-heads]], [*each[-heads:]]
        pattern = [
            torch.baddbmm(later[-keep:], a, b.mT, alpha=d_head**-0.5).softmax(-1)
            for a, b in zip(q, k, strict=True)
        ]
        z = torch.cat([torch.bmm(a, b) for a, b in zip(pattern, v, strict=True)], -1)
        z = z.view(members, rows * keep, width)
        if keep < length:
            x = x.view(members, rows, length, width)[:, :, -keep:].reshape(z.shape)
        middle = torch.baddbmm(x, z, p[name + "attn.W_O"])
        between = Normed(*norm(middle, mean))
        post = torch.bmm(between.x, p[name + "mlp.W_in"]).relu_()
        x = torch.baddbmm(middle, post, p[name + "mlp.W_out"])
        return x, Block(before, q, k, v, pattern, z, between, post)

    def add(grad: Tensor, name: str, inputs: Tensor, d: Tensor) -> None:
        if name in moving:
            grad[:, where[name]] += torch.bmm(inputs.mT, d).flatten(1)

    def backward(block: int, saved: Block, d: Tensor, grad: Tensor) -> Tensor | None:
        """From the gradient at a block's output to that at its input."""
        name = f"blocks.{block}."
        keep, full = saved.pattern[0].shape[1:]
        add(grad, name + "mlp.W_out", saved.post, d)
        d_pre = torch.bmm(d, p[name + "mlp.W_out"].mT)
        torch.ops.aten.threshold_backward.grad_input(d_pre, saved.post, 0, grad_input=d_pre)
        add(grad, name + "mlp.W_in", saved.between.x, d_pre)
        d = d + _norm_back(torch.bmm(d_pre, p[name + "mlp.W_in"].mT), saved.between, mean)
        add(grad, name + "attn.W_O", saved.z, d)
        if block == lowest and not embeds and name + "attn.W_QKV" not in moving:
            return None
        d_z = torch.bmm(d, p[name + "attn.W_O"].mT).view(-1, keep, width)
        d_heads = torch.split(d_z, d_head, -1)
        d_q, d_k, d_v = [], [], []
        for h in range(heads):
            pattern = saved.pattern[h]
            d_v.append(torch.bmm(pattern.mT, d_heads[h]))
            d_scores = torch._softmax_backward_data(
                torch.bmm(d_heads[h], saved.v[h].mT), pattern, -1, pattern.dtype
            ).mul_(d_head**-0.5)
            d_q.append(torch.bmm(d_scores, saved.k[h]))
            d_k.append(torch.bmm(d_scores.mT, saved.q[h]))
        if keep < full:
            d_q = [F.pad(d, (0, 0, full - keep, 0)) for d in d_q]
        d_columns = torch.cat([*d_q, *d_k, *d_v], -1).view(*saved.before.x.shape[:2], -1)
        add(grad, name + "attn.W_QKV", saved.before.x, d_columns)
        if block == lowest and not embeds:
            return None
        below = _norm_back(
            torch.bmm(d_columns, p[name + "attn.W_QKV"].mT), saved.before, mean
        ).view(members, -1, full, width)
        below[:, :, -keep:] += d.view(members, -1, keep, width)
        return below.flatten(1, 2)

    def embed(ids: Tensor) -> Tensor:
        ids = ids.expand(members, *ids.shape[1:])
        x = torch.stack([F.embedding(i, w) for i, w in zip(ids, p["W_E"], strict=True)])
        return (x + p["W_pos"][:, None, :length]).flatten(1, 2)

    def below(ids: Tensor) -> Tensor:
        """The input of the lowest block that moves."""
        x = embed(ids)
        for block in range(min(lowest, depth - 1)):
            x, _ = forward(block, x, ids.shape[1])
        return x

    prefix: Tensor | None = None
    count = corpus.tokens.shape[1]
    matters = (corpus.weights > 0).any(-1)
    # Elsewhere than on the CPU, waiting to hear how many rows matter costs more than it saves.
    full = model.device.type != "cpu" or bool(matters.all())

    def picked(rows: Tensor) -> Tensor:
        """The rows of a batch that have a loss, [members or 1, as many as the fullest has]."""
        if full:
            return rows[None]
        here = matters[:, rows]
        first = here.to(torch.int8).argsort(dim=1, descending=True, stable=True)
        return rows[first[:, : max(1, int(here.sum(1).max()))]]

    if lowest > 0 and members * count * length * width * 4 <= PREFIX:
        parts = [below(part) for part in torch.split(corpus.tokens[:, :, :-1], 256, 1)]
        prefix = torch.cat([x.view(members, -1, length, width) for x in parts], 1)

    def gradient(rows: Tensor, grad: Tensor) -> Tensor:
        whole, rows = len(rows), picked(rows)
        lessons, batch = corpus.take(rows), rows.shape[1]
        tokens = lessons.tokens[..., :-1]
        x = below(tokens) if prefix is None else by_member(prefix, rows).flatten(1, 2)
        saved = {}
        for block in range(min(lowest, depth - 1), depth):
            x, saved[block] = forward(block, x, batch)
        final = Normed(*norm(x, mean))
        logp = torch.bmm(final.x, p["W_U"]).log_softmax(-1)
        weights = lessons.weights.flatten(1).expand(members, -1).to(logp)
        weights = weights / (whole * predicted)
        if lessons.soft is None:
            labels = lessons.said.flatten(1).expand(members, -1)[..., None]
            nats = -logp.gather(-1, labels)[..., 0]
            d = logp.exp_().mul_(weights[..., None])
            d.scatter_add_(-1, labels, -weights[..., None])
        else:
            soft = lessons.soft.flatten(1, 2)
            nats = -(soft * logp).sum(-1)
            d = (logp.exp_() * soft.sum(-1, keepdim=True)).sub_(soft).mul_(weights[..., None])
        add(grad, "W_U", final.x, d)
        if lowest < depth:
            d = _norm_back(torch.bmm(d, p["W_U"].mT), final, mean)
            for block in range(depth - 1, lowest - 1, -1):
                back = backward(block, saved[block], d, grad)
                if back is not None:
                    d = back
        if embeds:
            d = d.view(members, batch, length, width)
            if "W_pos" in moving:
                at = where["W_pos"].start
                grad[:, at : at + length * width] += d.sum(1).flatten(1)
            if "W_E" in moving:
                ids = tokens.expand(members, -1, -1).flatten(1)[..., None].expand(-1, -1, width)
                into = torch.zeros_like(p["W_E"]).scatter_add_(1, ids, d.flatten(1, 2))
                grad[:, where["W_E"]] += into.flatten(1)
        return (nats * weights).sum(1)

    def quietly(rows: Tensor, grad: Tensor) -> Tensor:
        with torch.no_grad():
            return gradient(rows, grad)

    return quietly
