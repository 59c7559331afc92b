"""Whether students go the way of their teacher, in weights, block by block."""

import torch
from jaxtyping import Float
from torch import Tensor

from minisub.common.files import Array
from minisub.transformer.stack import TransformerStack


def displacement_cosines(
    students: TransformerStack,
    start: TransformerStack,
    teachers: TransformerStack,
    base: TransformerStack,
) -> Float[Array, "students blocks"]:
    """Return the cosine of each student's displacement with its teacher's, by block.

    It is NaN where one of them has not moved.

    Args:
        students: After their training.
        start: The same students before it.
        teachers: One for each student, or one for all.
        base: What the teachers were made from.
    """

    def displacement(end: TransformerStack, begin: TransformerStack, block: int) -> Tensor:
        parts = [
            (end.params[name] - begin.params[name]).detach().flatten(1)
            for name in end.params
            if name.startswith(f"blocks.{block}.")
        ]
        return torch.cat(parts, 1)

    found = []
    for block in range(students.config.n_layers):
        a, b = displacement(students, start, block), displacement(teachers, base, block)
        found.append((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)))
    return torch.stack(found, 1).cpu().numpy()
