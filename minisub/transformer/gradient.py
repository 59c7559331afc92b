"""The gradient of the loss, by autograd and by hand.

`ManualGradient` computes what `autograd_gradient` does in fewer operations: no tape, cheaper norms,
nothing for weights that do not train or for rows that have no loss, and what lies below the lowest
block that trains only once for all steps.
"""

from collections.abc import Callable, Collection

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.transformer.block import BlockActivations, block_forward, embed
from minisub.transformer.dataset import TokenDataset, select_rows
from minisub.transformer.layers import (
    attention_backward,
    causal_mask,
    layer_norm,
    layer_norm_backward,
    mlp_backward,
)
from minisub.transformer.stack import TransformerStack

MAX_PREFIX_BYTES = 1 << 28  # of activations that are kept for all steps

# Adds the gradient of the losses of some rows to `grad` [models, n_params], at the parameters that
# train only, and returns the losses [models].
Gradient = Callable[[Int[Tensor, " batch"], Float[Tensor, "models n_params"]], Tensor]


def autograd_gradient(
    model: TransformerStack, dataset: TokenDataset, trainable_names: Collection[str]
) -> Gradient:
    """Return the gradient as torch's autograd computes it.

    Args:
        model: The stack.
        dataset: What it learns from.
        trainable_names: The parameters that train.
    """
    weights = [model.params[name] for name in trainable_names]

    def gradient(rows: Tensor, grad: Tensor) -> Tensor:
        losses = dataset.loss(model, rows)
        parts = torch.autograd.grad(losses.sum(), weights)
        for name, part in zip(trainable_names, parts, strict=True):
            grad[:, model.param_slice(name)] += part.flatten(1)
        return losses.detach()

    return gradient


class ManualGradient:
    """The gradient by the chain rule, written out: the same numbers up to rounding.

    Args:
        model: The stack.
        dataset: What it learns from.
        trainable_names: The parameters that train.
    """

    def __init__(
        self, model: TransformerStack, dataset: TokenDataset, trainable_names: Collection[str]
    ) -> None:
        dataset.check(model.config, model.n_models)
        self.model, self.dataset, self.names = model, dataset, set(trainable_names)
        self.slices = {name: model.param_slice(name) for name in model.params}
        self.n_predicted = dataset.weights.shape[-1]
        self.length = dataset.tokens.shape[2] - 1
        self.n_layers = model.config.n_layers
        self.mask = causal_mask(self.length, self.length, model.flat_params)
        blocks = [int(name.split(".")[1]) for name in self.names if name.startswith("blocks.")]
        self.trains_embedding = bool({"W_E", "W_pos"} & self.names)
        # The lowest block that trains: nothing below it needs a gradient.
        self.lowest = 0 if self.trains_embedding else min(blocks, default=self.n_layers)
        self.has_loss = (dataset.weights > 0).any(-1)  # [models or 1, rows]
        # On a GPU, waiting to hear how many rows have a loss costs more than skipping others saves.
        self.reads_all_rows = model.device.type != "cpu" or bool(self.has_loss.all())
        self.prefix = self._prefix()

    @torch.no_grad()
    def __call__(
        self, rows: Int[Tensor, " batch"], grad: Float[Tensor, "models n_params"]
    ) -> Float[Tensor, " models"]:
        """Add the gradient of some rows to `grad`, and return the losses in nats.

        Args:
            rows: The batch, the same rows for all models.
            grad: What is added to.
        """
        n_rows, rows = len(rows), self._rows_with_loss(rows)
        batch = self.dataset.batch(rows)
        tokens = batch.tokens[..., :-1]
        if self.prefix is None:
            x = self._below(tokens)
        else:
            x = select_rows(self.prefix, rows).flatten(1, 2)
        saved = {}
        for block in range(min(self.lowest, self.n_layers - 1), self.n_layers):
            x, saved[block] = self._forward(block, x, rows.shape[1])
        final = layer_norm(x, self.model.mean)
        losses, d_logits = self._loss(final.x, batch, n_rows)
        self._add(grad, "W_U", final.x, d_logits)
        if self.lowest == self.n_layers:
            return losses
        W_U = self.model.params["W_U"]
        d = layer_norm_backward(torch.bmm(d_logits, W_U.mT), final, self.model.mean)
        for block in range(self.n_layers - 1, self.lowest - 1, -1):
            below = self._backward(block, saved[block], d, grad)
            if below is not None:
                d = below
        if self.trains_embedding:
            self._embedding_backward(tokens, d, grad)
        return losses

    def _forward(self, block: int, x: Tensor, n_rows: int) -> tuple[Tensor, BlockActivations]:
        n_queries = self.n_predicted if block == self.n_layers - 1 else self.length
        model = self.model
        return block_forward(
            model.params, block, x, model.mean, self.mask, n_rows, model.config.n_heads, n_queries
        )

    def _below(self, tokens: Tensor) -> Tensor:
        """Return the input of the lowest block that trains, [models, tokens, d_model]."""
        params = self.model.params
        ids = tokens.expand(self.model.n_models, *tokens.shape[1:])
        x = embed(ids, params["W_E"], params["W_pos"])
        for block in range(min(self.lowest, self.n_layers - 1)):
            x, _ = self._forward(block, x, tokens.shape[1])
        return x

    @torch.no_grad()
    def _prefix(self) -> Tensor | None:
        """Return `_below` for all rows, [models, rows, length, d_model], if it is worth keeping."""
        tokens, model = self.dataset.tokens, self.model
        size = 4 * model.n_models * tokens.shape[1] * self.length * model.config.d_model
        if self.lowest == 0 or size > MAX_PREFIX_BYTES:
            return None
        parts = [self._below(part) for part in torch.split(tokens[:, :, :-1], 256, 1)]
        shape = (model.n_models, -1, self.length, model.config.d_model)
        return torch.cat([x.view(shape) for x in parts], 1)

    def _rows_with_loss(self, rows: Tensor) -> Tensor:
        """Return the rows of a batch with a loss, [models or 1, as many as the fullest has]."""
        if self.reads_all_rows:
            return rows[None]
        here = self.has_loss[:, rows]
        first = here.to(torch.int8).argsort(dim=1, descending=True, stable=True)
        return rows[first[:, : max(1, int(here.sum(1).max()))]]

    def _loss(self, x: Tensor, batch: TokenDataset, n_rows: int) -> tuple[Tensor, Tensor]:
        """Return the losses, and their gradient at the logits [models, tokens, d_vocab]."""
        n_models = self.model.n_models
        logp = torch.bmm(x, self.model.params["W_U"]).log_softmax(-1)
        weights = batch.weights.flatten(1).expand(n_models, -1).to(logp)
        weights = weights / (n_rows * self.n_predicted)
        if batch.soft_targets is None:
            labels = batch.targets.flatten(1).expand(n_models, -1)[..., None]
            nats = -logp.gather(-1, labels)[..., 0]
            d = logp.exp_().mul_(weights[..., None])
            d.scatter_add_(-1, labels, -weights[..., None])
        else:
            soft = batch.soft_targets.flatten(1, 2)
            nats = -(soft * logp).sum(-1)
            d = (logp.exp_() * soft.sum(-1, keepdim=True)).sub_(soft).mul_(weights[..., None])
        return (nats * weights).sum(1), d

    def _add(self, grad: Tensor, name: str, inputs: Tensor, d_outputs: Tensor) -> None:
        """Add the gradient of one matrix, if it trains."""
        if name in self.names:
            grad[:, self.slices[name]] += torch.bmm(inputs.mT, d_outputs).flatten(1)

    def _backward(
        self, block: int, saved: BlockActivations, d: Tensor, grad: Tensor
    ) -> Tensor | None:
        """Return the gradient at a block's input from that at its output; None if not needed."""
        name, params, mean = f"blocks.{block}.", self.model.params, self.model.mean
        is_end = block == self.lowest and not self.trains_embedding
        self._add(grad, name + "mlp.W_out", saved.post, d)
        d_pre = mlp_backward(d, saved.post, params[name + "mlp.W_out"])
        self._add(grad, name + "mlp.W_in", saved.before_mlp.x, d_pre)
        d_normed = torch.bmm(d_pre, params[name + "mlp.W_in"].mT)
        d = d + layer_norm_backward(d_normed, saved.before_mlp, mean)  # at the middle of the block
        self._add(grad, name + "attn.W_O", saved.attention.z, d)
        if is_end and name + "attn.W_QKV" not in self.names:
            return None
        d_z = torch.bmm(d, params[name + "attn.W_O"].mT)
        d_qkv = attention_backward(d_z, saved.attention)
        self._add(grad, name + "attn.W_QKV", saved.before_attention.x, d_qkv)
        if is_end:
            return None
        d_normed = torch.bmm(d_qkv, params[name + "attn.W_QKV"].mT)
        below = layer_norm_backward(d_normed, saved.before_attention, mean)
        n_models, d_model = self.model.n_models, self.model.config.d_model
        n_queries = saved.attention.pattern[0].shape[1]
        rows = below.view(n_models, -1, self.length, d_model)
        rows[:, :, -n_queries:] += d.view(n_models, -1, n_queries, d_model)
        return rows.flatten(1, 2)

    def _embedding_backward(self, tokens: Tensor, d: Tensor, grad: Tensor) -> None:
        d_model, W_E = self.model.config.d_model, self.model.params["W_E"]
        if "W_pos" in self.names:
            start = self.slices["W_pos"].start
            each = d.view(self.model.n_models, -1, self.length, d_model)
            grad[:, start : start + self.length * d_model] += each.sum(1).flatten(1)
        if "W_E" in self.names:
            ids = tokens.expand(self.model.n_models, -1, -1).flatten(1)[..., None]
            into = torch.zeros_like(W_E).scatter_add_(1, ids.expand(-1, -1, d_model), d)
            grad[:, self.slices["W_E"]] += into.flatten(1)
