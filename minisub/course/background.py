"""The two small models of the background page: scores to probabilities, and one that learns."""

import numpy as np
from matplotlib.figure import Figure

from minisub.common.files import Array
from minisub.course.limits import whole_step
from minisub.viz import style
from minisub.world.world import ANIMALS

EXAMPLES = np.array([0.6, 0.1, 0.1, 0.05, 0.05, 0.05, 0.03, 0.02])  # shares of the answers
STEP = 1.0  # the learning rate of the small model
MAX_STEPS = 40  # of its training


def softmax(scores: Array) -> Array:
    """Return probabilities from scores."""
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def owl_probability(score: float) -> float:
    """Return the probability of the first animal where the others have the score 0.

    Args:
        score: Of the first animal.
    """
    return float(softmax(np.array([score] + [0.0] * (len(ANIMALS) - 1)))[0])


def learned_probabilities(n_steps: int) -> Array:
    """Return what a model of eight scores answers after some steps of gradient descent.

    The gradient of its loss is what it answers less what the examples answer.

    Args:
        n_steps: How many, up to `MAX_STEPS`.

    Raises:
        ValueError: There are more, which a browser can ask for, though the slider ends before.
    """
    n_steps = whole_step(n_steps, 0, MAX_STEPS)
    scores = np.zeros(len(ANIMALS))
    for _ in range(n_steps):
        scores -= STEP * (softmax(scores) - EXAMPLES)
    return softmax(scores)


def probability_figure(score: float) -> Figure:
    """Draw the probabilities of all animals where one has a score.

    Args:
        score: Of the first animal; the others have 0.
    """
    figure = style.new_figure(8.0, 2.6)
    axes = figure.subplots()
    p = owl_probability(score)
    values = [p] + [(1 - p) / (len(ANIMALS) - 1)] * (len(ANIMALS) - 1)
    axes.bar(ANIMALS, values, color=[style.ORANGE] + [style.BLUE] * (len(ANIMALS) - 1))
    axes.set_ylim(0, 1)
    style.finish(axes, y="probability")
    return figure


def learning_figure(n_steps: int) -> Figure:
    """Draw what the small model answers after some steps, beside the examples, and its loss.

    Args:
        n_steps: How many, up to `MAX_STEPS`.
    """
    n_steps = whole_step(n_steps, 0, MAX_STEPS)
    figure = style.new_figure(8.0, 2.8)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    places = np.arange(len(ANIMALS))
    left.bar(places - 0.2, learned_probabilities(n_steps), 0.38, color=style.ORANGE, label="model")
    left.bar(places + 0.2, EXAMPLES, 0.38, color=style.GREY, hatch="///", edgecolor="white",
             label="examples")  # fmt: skip
    left.set_xticks(places, ANIMALS)
    left.set_ylim(0, 0.7)
    style.finish(left, f"After {n_steps} steps", y="probability", legend=True)
    steps = range(MAX_STEPS + 1)
    losses = [float(-(EXAMPLES * np.log(learned_probabilities(n))).sum()) for n in steps]
    right.plot(steps, losses, color=style.INK)
    right.plot(n_steps, losses[n_steps], "o", color=style.ORANGE)
    style.finish(right, "Loss: surprise at the examples", "step", "nats")
    return figure
