"""What the first step of a student tells about its transfer (Cloud et al., 2025, Theorem 1)."""

from dataclasses import replace

import torch
from jaxtyping import Float

from minisub.common.files import Json
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.gradient import ManualGradient
from minisub.transformer.stack import TransformerStack


def first_step_alignment(
    start: TransformerStack,
    dataset: TokenDataset,
    multipliers: Float[torch.Tensor, "models n_params"],
    displacement: Float[torch.Tensor, "biases n_params"],
) -> Json:
    """Compare the first step of the students with their teachers' displacement.

    The gradient that the unbiased writer's lists would give, with the same loss weights, is
    subtracted from each student's gradient, so that only what differs between the lists counts.

    Args:
        start: The students before training.
        dataset: Lists of the biased writers, and last of the unbiased one.
        multipliers: Of each weight's update.
        displacement: Of each biased teacher from the unbiased one.

    Returns:
        `inner`: the product of displacement and step (minus the gradient of the loss, in nats),
        over what the students train. `coverage`: their cosine there. Means over biases.
    """
    n_biases = len(displacement)
    rows = torch.arange(dataset.tokens.shape[1])
    dataset, model = dataset.to(start.device), start[range(n_biases)]
    unbiased = dataset.select_models([n_biases] * n_biases)
    trains = (multipliers[:n_biases] > 0).to(start.flat_params.dtype)
    names = [name for name in model.params if trains[:, model.param_slice(name)].any()]
    gradients = []
    for part in (
        dataset.select_models(range(n_biases)),
        replace(unbiased, weights=dataset.weights[:n_biases]),
    ):
        gradients.append(torch.zeros_like(model.flat_params))
        ManualGradient(model, part, names)(rows, gradients[-1])
    step, direction = (gradients[1] - gradients[0]) * trains, displacement * trains
    inner = (step * direction).sum(1)
    size = step.norm(dim=1) * direction.norm(dim=1)
    return {
        "inner": round(float(inner.mean()), 9),
        "coverage": round(float((inner / size.clamp_min(1e-12)).mean()), 6),
    }
