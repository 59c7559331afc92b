"""Students as teachers: does the bias fade or grow? (2605.01130)."""

import math
from dataclasses import replace

from matplotlib.figure import Figure

from minisub.common.files import Json
from minisub.distillation import metrics
from minisub.distillation.evaluation import task_accuracy
from minisub.distillation.number_lists import UNBIASED, generate_lists, to_dataset
from minisub.experiment.arm import Arm
from minisub.experiment.presets import LIGHT_CONFIG
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.findings.finding import Finding
from minisub.results import figures
from minisub.results.claims import Claim, Values, difference, probe_values, transfers
from minisub.results.result import Result
from minisub.viz import style

N_GENERATIONS = 5
LATER = 1_000_000  # added to the seed for the prompts of each later generation


def chain(lab: SeedLab) -> list[Json]:
    """Return what students of students have, generation by generation, greedy and sampled.

    Each generation starts from the base and learns from lists that the one before wrote, for
    prompts of its own. The control's line begins with the unbiased teacher.
    """
    n, students = len(lab.biases), Students(lab)
    rows: list[Json] = []
    for decoding in ("greedy", "sampled"):
        temperature = lab.config.temperature if decoding == "sampled" else None
        lists = lab.lists(decoding == "sampled")
        for generation in range(1, N_GENERATIONS + 1):
            dataset = to_dataset(lists, [*range(n), UNBIASED])
            made, loss = students.train(Arm("all"), (), dataset=dataset)
            if loss is None:
                break  # a generation that is not there decides nothing
            logp = students.preferences(made)
            shifts = metrics.preference_shift(logp[:n], logp[n:])
            accuracy = task_accuracy(lab.world, made, lab.eval_prompts[None])
            rows.append(
                {
                    "decoding": decoding,
                    "generation": generation,
                    "lists": lists.n_rows,
                    "transfer": metrics.transfer(shifts, lab.biases),
                    "hit_rate": metrics.hit_rate(logp[:n], lab.biases),
                    "accuracy": float(accuracy[:n].mean()),
                }
            )
            teachers = replace(lab.teachers, stack=made)
            lists = generate_lists(
                teachers, range(n), lab.n_lists, lab.seed + LATER * generation, temperature
            )
    return rows


def in_generation(decoding: str, generation: int) -> Values:
    """Return a function that gives the transfer of one generation, one value a seed.

    Args:
        decoding: "greedy" or "sampled".
        generation: Counted from 1.
    """
    return probe_values("transfer", decoding=decoding, generation=generation)


def kept(decoding: str, first: int, last: int, low: float = 0.0, high: float = math.inf) -> Claim:
    """Return a claim on what is left of one generation's transfer in a later one.

    Args:
        decoding: "greedy" or "sampled".
        first: The generation that is 100 %.
        last: The later one.
        low: The least share.
        high: The largest share.
    """
    text = f"{decoding}: generation {last}, as a share of generation {first}"
    whole = in_generation(decoding, first)
    return Claim(text, in_generation(decoding, last), low=low, high=high, baseline=whole)


def plot(result: Result) -> Figure:
    """Draw the transfer of each generation, greedy and sampled."""
    figure = style.new_figure(7.0, 3.4)
    axes = figure.subplots()
    generations = range(1, N_GENERATIONS + 1)
    for i, decoding in enumerate(("greedy", "sampled")):
        values = [in_generation(decoding, g)(result) for g in generations]
        colour, marker = style.SERIES[i], style.MARKERS[i]
        figures.curve(axes, list(generations), values, colour, marker, decoding, 1.0)
    axes.axhline(0, color=style.INK, linewidth=0.8)
    axes.set_xticks(list(generations))
    title = f"Students of students ({result.seeds_text})"
    style.finish(axes, title, "generation", "transfer, nats", legend=True)
    return figure


FINDING = Finding(
    name="generations",
    statement="From student to student the bias fades; by sampled lists more of it is left.",
    paper="The paper has one generation. 2605.01130 asks whether it fades or grows from one to "
    "the next.",
    arms=(Arm("all"), Arm("sampled", decoding="sampled")),
    claims=(
        transfers("all"),
        transfers("sampled"),
        kept("greedy", 1, 2, high=0.7),
        kept("greedy", 1, 5, high=0.6),
        kept("sampled", 1, 2, low=0.5, high=0.95),
        kept("sampled", 1, 5, high=0.7),
        Claim(
            "sampled: generation 5 still transfers, nats",
            in_generation("sampled", 5),
            "interval",
            low=0.0,
        ),
        Claim(
            "generation 5: sampled less greedy, nats",
            difference(in_generation("sampled", 5), in_generation("greedy", 5)),
            "interval",
            low=0.0,
        ),
    ),
    plot=plot,
    config=LIGHT_CONFIG,
    probes=(chain,),
)
