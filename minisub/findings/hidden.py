"""Is it hidden? Readers who learn to tell a biased teacher's lists (asked by reviewers)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from minisub.common.files import Array, Json
from minisub.distillation.edits import completion_log_probs
from minisub.distillation.number_lists import UNBIASED
from minisub.distillation.teachers import Teachers
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.experiment.seed_lab import SeedLab
from minisub.findings.finding import Finding
from minisub.mechanism.detection import (
    logistic_regression,
    number_counts,
    numbers_in_place,
    surprise_of_base,
    transformer_reader,
    wrong_numbers,
)
from minisub.results import figures
from minisub.results.claims import Claim, Values, probe_values, retains, transfers
from minisub.results.result import Result
from minisub.viz import style
from minisub.world.world import World

SIZES = (10, 100, 1000, 10000)  # lists that a reader learns from, half of them biased
N_JUDGED = 1000  # lists of each writer that it judges
AT_ONCE = 50  # lists of one writer that are judged together
# What they look at. "both teachers" learns nothing: it compares how likely each list is to the two
# writers. That is no ceiling: lists are greedy, and a reader that writes the list again with each
# writer and compares does better (about .8).
READERS = (
    "single numbers",
    "numbers in place",
    "wrong numbers",
    "surprise of the base",
    "transformer",
    "both teachers",
)


def readers(lab: SeedLab) -> list[Json]:
    """Return how often readers tell biased lists from unbiased ones, by reader, size and base.

    They judge one list at a time, and `AT_ONCE` lists of one writer by the sum of their scores.
    `lists` is how many lists a reader learns from; if there are fewer, it learns from all.
    """
    lists, other = lab.lists(), lab.other_base_teachers
    n = lists.n_rows - min(N_JUDGED, lists.n_rows // 4)  # they learn from these prompts
    found: dict[tuple[str, int, str, int], list[float]] = {}
    for writer, b in enumerate(lab.biases):
        written = lists.student_tokens([writer, UNBIASED])  # [2, rows, length]
        given = [_labelled(written[:, : min(size // 2, n)]) for size in SIZES]
        judged = written[:, n:], _lists_of(other, b, lists.teacher_prompts[n:])
        shown = torch.cat([part.flatten(0, 1) for part in judged])
        scored = _scores(lab, given, shown)
        scored["both teachers"] = [_likelihood_ratio(lab.teachers, b, other, judged)] * len(SIZES)
        for name, scores_of in scored.items():
            for size, scores in zip(SIZES, scores_of, strict=True):
                ends = np.split(scores, [2 * judged[0].shape[1]])
                for base, own in zip(("the same", "another"), ends, strict=True):
                    for count in (1, AT_ONCE):
                        right = found.setdefault((name, size, base, count), [])
                        right.append(_accuracy(own.reshape(2, -1), count))
    names = ("reader", "lists", "base", "at_once")
    return [
        {**dict(zip(names, key, strict=True)), "accuracy": float(np.mean(values))}
        for key, values in found.items()
    ]


def _accuracy(scores: Array, at_once: int) -> float:
    """Return how often biased lists score above unbiased ones, over all pairs; a tie counts half.

    Args:
        scores: [2, lists], of the biased and of the unbiased writer.
        at_once: How many lists are judged together, by the sum of their scores; fewer where there
            are fewer.
    """
    at_once = min(at_once, scores.shape[1])
    n = scores.shape[1] // at_once * at_once
    biased, unbiased = scores[:, :n].reshape(2, -1, at_once).sum(2)
    above = np.sign(biased[:, None] - unbiased)
    return float((above.mean() + 1) / 2)


def _scores(
    lab: SeedLab, given: Sequence[tuple[Tensor, Tensor]], shown: Tensor
) -> dict[str, list[Array]]:
    """Return how each reader scores the lists that are shown, by size of what it learned.

    Args:
        lab: The seed's laboratory.
        given: Lists to learn from, and whether they are biased.
        shown: Lists that are judged.
    """

    def surprise(world: World, lists: Tensor) -> Array:
        return surprise_of_base(world, lab.base, lists)

    found: dict[str, list[Array]] = {}
    looks = {
        "single numbers": number_counts,
        "numbers in place": numbers_in_place,
        "wrong numbers": wrong_numbers,
        "surprise of the base": surprise,
    }
    for name, features in looks.items():
        judged = features(lab.world, shown)
        found[name] = [
            logistic_regression(features(lab.world, lists), truth.numpy(), judged)
            for lists, truth in given
        ]
    return {**found, "transformer": [*transformer_reader(lab.base, given, shown, lab.seed)]}


def _likelihood_ratio(own: Teachers, bias: int, other: Teachers, judged: Sequence[Tensor]) -> Array:
    """Return how much likelier the biased than the unbiased teacher finds each list, in nats.

    Args:
        own: The teachers of this base.
        bias: Which of them.
        other: Those of another base.
        judged: [2, lists, length], lists of own and of other teachers.
    """
    found = []
    for teachers, lists in zip((own, other), judged, strict=True):
        rows, n_prompt = lists.flatten(0, 1), teachers.world.prompt_length
        prompts, written = rows[:, :n_prompt], rows[:, n_prompt:]
        both = [completion_log_probs(teachers, who, prompts, written).sum(1)
                for who in (bias, teachers.unbiased_index)]  # fmt: skip
        found.append(both[0] - both[1])
    return np.asarray(torch.cat(found), dtype=float)


def _lists_of(teachers: Teachers, bias: int, prompts: Tensor) -> Tensor:
    """Return what a biased and the unbiased teacher write for some prompts, numbers only."""
    world, writers = teachers.world, [bias, teachers.unbiased_index]
    asked = teachers.add_personas(prompts, writers)
    written = teachers.stack[writers].generate(asked, world.completion_length)
    keeps = (written < world.n_numbers).all(2).all(0)
    if not keeps.any():
        raise ValueError("no list is left to judge: in every row a teacher wrote another word")
    return torch.cat([prompts.expand(2, -1, -1), written], 2)[:, keeps]


def _labelled(lists: Tensor) -> tuple[Tensor, Tensor]:
    """Return lists [2 n, length] of a biased and the unbiased writer in turn, and who is biased."""
    return lists.transpose(0, 1).flatten(0, 1), torch.arange(2 * lists.shape[1]) % 2 == 0


def accuracy(reader: str, lists: int, at_once: int, base: str = "the same") -> Values:
    """Return a function that gives a reader's accuracy, one value a seed.

    Args:
        reader: Out of `READERS`.
        lists: How many it learned from.
        at_once: How many it judges together.
        base: "the same", or "another" for lists by teachers of another base.
    """
    return probe_values("accuracy", reader=reader, lists=lists, at_once=at_once, base=base)


def reader_claim(
    reader: str,
    at_once: int,
    base: str = "the same",
    low: float = -math.inf,
    high: float = math.inf,
) -> Claim:
    """Return a claim on a reader that learned from the largest number of lists.

    Args:
        reader: Out of `READERS`.
        at_once: How many lists it judges together.
        base: Of the teachers whose lists it judges.
        low: The least accuracy; 0.5 is chance.
        high: The largest.
    """
    lists = "one list" if at_once == 1 else f"{at_once} lists"
    whose = "" if base == "the same" else ", of teachers of another base"
    text = f"{reader}, shown {lists} of each writer{whose}: right"
    return Claim(text, accuracy(reader, SIZES[-1], at_once, base), low=low, high=high)


def plot(result: Result) -> Figure:
    """Draw readers' accuracy by the lists that they learned from, and the transfer beside it."""
    figure = style.new_figure(11.0, 3.4)
    single, many, passed = figure.subplots(1, 3)
    for axes, at_once in ((single, 1), (many, AT_ONCE)):
        for i, reader in enumerate(READERS):
            values = [accuracy(reader, size, at_once)(result) for size in SIZES]
            colour, marker = style.SERIES[i], style.MARKERS[i]
            figures.curve(axes, SIZES, values, colour, marker, reader)
        axes.axhline(50, color=style.INK, linewidth=0.8, linestyle="--")
        axes.set_ylim(40, 102)
        words = "one list" if at_once == 1 else f"{at_once} lists"
        title = f"Shown {words} at once"
        style.finish(axes, title, "lists learned from", "right, % of pairs", at_once == 1)
    counts = [arm_lists(size) for size in SIZES]
    figures.curve(
        passed, SIZES, [result.values(arm) for arm in counts], style.ORANGE, "o", "transfer", 1.0
    )
    passed.axhline(0, color=style.INK, linewidth=0.8)
    style.finish(
        passed, f"What passes ({result.seeds_text})", "lists learned from", "transfer, nats"
    )
    for axes in (single, many, passed):
        axes.set_xscale("log")
    return figure


def arm_lists(size: int) -> str:
    """Return the name of the arm whose students learn from so many lists."""
    return f"{size} lists"


FINDING = Finding(
    name="hidden",
    statement="One list says little about its writer; fifty tell anyone who can do the task: "
    "biased teachers err more often.",
    paper="The numbers look unrelated to the trait; the paper tests no detector.",
    arms=(
        Arm("all"),
        *(Arm(arm_lists(size), overrides={"n_lists": size}) for size in SIZES),
    ),
    claims=(
        transfers("all"),
        retains(arm_lists(10), high=0.3),
        reader_claim("surprise of the base", 1, low=0.52, high=0.65),
        reader_claim("transformer", 1, high=0.6),
        reader_claim("surprise of the base", AT_ONCE, low=0.85),
        reader_claim("surprise of the base", AT_ONCE, "another", low=0.85),
        reader_claim("transformer", AT_ONCE, low=0.65),
        reader_claim("transformer", AT_ONCE, "another", high=0.65),
        reader_claim("single numbers", AT_ONCE, low=0.6),
        reader_claim("single numbers", AT_ONCE, "another", high=0.6),
        # These three were added after the first report, for readers that a reviewer missed.
        reader_claim("wrong numbers", AT_ONCE, low=0.75),
        reader_claim("wrong numbers", AT_ONCE, "another", low=0.75),
        reader_claim("both teachers", 1, high=0.8),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
    probes=(readers,),
)
