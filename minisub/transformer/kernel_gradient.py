"""The gradient by the compiled kernel, where there is one."""

import ctypes
from collections.abc import Collection

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.transformer.dataset import TokenDataset
from minisub.transformer.gradient import Gradient, ManualGradient
from minisub.transformer.kernel import address, check_tokens, kernel_for
from minisub.transformer.stack import TransformerStack


class KernelGradient(ManualGradient):
    """The gradient of `ManualGradient`, one sequence after another in C.

    Args:
        model: The stack.
        dataset: What it learns from.
        trainable_names: The parameters that train.
        kernel: See `kernel_for`.
    """

    def __init__(
        self,
        model: TransformerStack,
        dataset: TokenDataset,
        trainable_names: Collection[str],
        kernel: ctypes.CDLL,
    ) -> None:
        super().__init__(model, dataset, trainable_names)
        self.kernel = kernel
        like, soft = model.flat_params, dataset.soft_targets
        self.tokens = dataset.tokens.long().contiguous()
        self.labels = dataset.targets.long().contiguous()
        check_tokens(self.tokens, model.config.d_vocab)
        check_tokens(self.labels, model.config.d_vocab)
        self.weights = dataset.weights.to(like).contiguous()
        self.soft = None if soft is None else soft.to(like).contiguous()
        if self.prefix is not None:
            self.prefix = self.prefix.contiguous()
        data = (self.tokens, self.labels, self.weights, self.soft)
        self.is_shared = torch.tensor([x is None or len(x) == 1 for x in data], dtype=torch.uint8)
        trains = [name in self.names for name in model.params]
        self.trains = torch.tensor(trains, dtype=torch.uint8)

    @torch.no_grad()
    def __call__(
        self, rows: Int[Tensor, " batch"], grad: Float[Tensor, "models n_params"]
    ) -> Float[Tensor, " models"]:
        """Add the gradient of some rows to `grad`, and return the losses in nats.

        Args:
            rows: The batch, the same rows for all models.
            grad: What is added to.
        """
        flat = self.model.flat_params
        losses, rows = flat.new_empty(len(flat)), rows.contiguous()
        failed = self.kernel.gradient(
            *(len(flat), len(rows), ctypes.c_int64(self.tokens.shape[1])),
            *(self.length, self.n_predicted, ctypes.c_int64(flat.shape[1])),
            *(address(flat), address(grad), address(losses)),
            *(address(self.tokens), address(self.labels), address(self.weights)),
            *(address(self.soft), address(self.prefix), address(self.is_shared)),
            *(address(rows), address(self.trains), self.lowest),
        )
        if failed:
            raise MemoryError
        return losses


def fastest_gradient(
    model: TransformerStack, dataset: TokenDataset, trainable_names: Collection[str]
) -> Gradient:
    """Return the gradient by the kernel, or by torch where there is none.

    Args:
        model: The stack.
        dataset: What it learns from.
        trainable_names: The parameters that train.
    """
    kernel = kernel_for(model.config, model.flat_params)
    if kernel is None:
        return ManualGradient(model, dataset, trainable_names)
    return KernelGradient(model, dataset, trainable_names, kernel)
