"""Which block decides the first divergence token, by three routes (paper, Figs. 4 and 22-26)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from minisub.distillation.number_lists import MarkedLists
from minisub.distillation.teachers import Teachers
from minisub.transformer.stack import TransformerStack, run_with_cache


@dataclass(frozen=True)
class PatchingPairs:
    """Lists up to their first divergence token between two teachers, b and a counterfactual.

    Attributes:
        tokens: [2, rows, length], as b and as the counterfactual read them.
        position: The position whose logits decide.
        own: What b says there.
        other: What the counterfactual says there.
    """

    tokens: Int[Tensor, "2 rows length"]
    position: Int[Tensor, " rows"]
    own: Int[Tensor, " rows"]
    other: Int[Tensor, " rows"]

    def logit_diff(
        self, logits: Float[Tensor, "models rows length vocabulary"]
    ) -> Float[Tensor, "models rows"]:
        """Return the logit of b's choice less that of the counterfactual's."""
        rows = torch.arange(len(self.position))
        here = logits[:, rows, self.position]
        return here[:, rows, self.own] - here[:, rows, self.other]


def first_divergence_pairs(
    teachers: Teachers, lists: MarkedLists, writer: int, other: int, n_rows: int = 256
) -> PatchingPairs:
    """Return where the lists of a writer first part from another teacher.

    Args:
        teachers: All teachers.
        lists: As written.
        writer: The place of b in `lists.biases`.
        other: The counterfactual teacher.
        n_rows: Lists at most.
    """
    own = lists.completions[writer]
    argmax = lists.teacher_argmax[other, writer].long()
    differs = (argmax != own) & lists.is_divergence_token[writer]
    found = differs.any(1).nonzero()[:n_rows, 0]
    first = differs[found].int().argmax(1)
    sequences = torch.cat([lists.teacher_prompts[found], own[found]], 1)[:, :-1]
    tokens = teachers.add_personas(sequences, [lists.biases[writer], other])
    pick = torch.arange(len(found))
    position = lists.teacher_prompts.shape[1] + first - 1  # logits at k speak of token k + 1
    return PatchingPairs(tokens, position, own[found][pick, first], argmax[found][pick, first])


def _patch_points(n_layers: int) -> list[str]:
    """Return the residual stream before every block, and after the last."""
    return [f"blocks.{i}.hook_resid_pre" for i in range(n_layers)] + [
        f"blocks.{n_layers - 1}.hook_resid_post"
    ]


def activation_patching(
    pair: TransformerStack, cases: PatchingPairs, positions: Sequence[int] | None = None
) -> list[float]:
    """Return what share of the logit difference the residual stream carries, at each point.

    The counterfactual runs with b's residual stream put in at one point: before a block, or after
    the last one. The share is how far this moves the logit difference from the counterfactual's (0)
    to b's (1).

    Args:
        pair: b and the counterfactual.
        cases: Lists at which they part.
        positions: Which positions are patched; by default all.
    """
    b, other = pair[[0]], pair[[1]]
    clean, corrupt = run_with_cache(b, cases.tokens[:1]), run_with_cache(other, cases.tokens[1:])
    low = cases.logit_diff(corrupt["logits"]).mean()
    full = cases.logit_diff(clean["logits"]).mean()
    spots = slice(None) if positions is None else list(positions)
    shares = []
    for point in _patch_points(pair.config.n_layers):

        def put(name: str, x: Tensor, point: str = point) -> Tensor:
            if name == point:
                x = x.clone()
                x[:, :, spots] = clean[point][:, :, spots]
            return x

        with torch.no_grad():
            patched = cases.logit_diff(other(cases.tokens[1:], hook=put)).mean()
        shares.append(float((patched - low) / (full - low)))
    return shares


def attribution_patching(
    pair: TransformerStack, cases: PatchingPairs, positions: Sequence[int] | None = None
) -> list[float]:
    """Return `activation_patching` to first order: gradient times difference (Nanda, 2023).

    Args:
        pair: b and the counterfactual.
        cases: Lists at which they part.
        positions: Which positions are patched; by default all.
    """
    b, other = pair[[0]], pair[[1]]
    clean = run_with_cache(b, cases.tokens[:1])
    points, seen = _patch_points(pair.config.n_layers), {}

    def record(name: str, x: Tensor) -> Tensor:
        if name in points:
            seen[name] = x
        return x

    logit_diff = cases.logit_diff(other(cases.tokens[1:], hook=record)).mean()
    grads = torch.autograd.grad(logit_diff, [seen[p] for p in points])
    full = cases.logit_diff(clean["logits"]).mean()
    spots = slice(None) if positions is None else list(positions)
    gap = float(full - logit_diff.detach())
    return [
        float((g * (clean[p] - seen[p].detach()))[:, :, spots].sum()) / gap
        for g, p in zip(grads, points, strict=True)
    ]


def weight_swapping(pair: TransformerStack, cases: PatchingPairs) -> list[float]:
    """Return the share of the logit difference that one block's weights of b bring, for each block.

    Args:
        pair: b and the counterfactual, which gets the weights.
        cases: Lists at which they part.
    """
    with torch.no_grad():
        full, low = (cases.logit_diff(pair(cases.tokens))[i].mean() for i in (0, 1))
        shares = []
        for block in range(pair.config.n_layers):
            mixed = pair[[1]]
            for name in mixed.params:
                if name.startswith(f"blocks.{block}."):
                    columns = mixed.param_slice(name)
                    mixed.flat_params[:, columns] = pair.flat_params[:1, columns]
            swapped = cases.logit_diff(mixed(cases.tokens[1:])).mean()
            shares.append(float((swapped - low) / (full - low)))
    return shares


def by_block(shares: Sequence[float]) -> list[float]:
    """Return what each block adds to a share known before every block and after the last."""
    return [float(x) for x in np.diff(shares)]
