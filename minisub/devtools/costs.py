"""Where time goes and how it grows: what `minisub bench` says besides the race.

Operations are counted, and timed on this machine; nothing here knows of other libraries.
"""

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from minisub.common.files import Json, digest
from minisub.common.process_pool import ProcessPool
from minisub.common.processes import OnProgress, no_progress, torch_threads
from minisub.common.store import Store
from minisub.devtools.peers import N_STACKED, ours
from minisub.distillation.base import load_base
from minisub.distillation.divergence_tokens import mark_divergence_tokens
from minisub.distillation.number_lists import generate_lists
from minisub.experiment.config import Config
from minisub.experiment.scheduling import required_runs
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.study import Study, missing_bases
from minisub.findings import FINDINGS
from minisub.transformer.config import ModelConfig
from minisub.transformer.gradient import ManualGradient
from minisub.world.traits import get_trait

WIDTHS = (16, 32, 64, 128)

# The machine ------------------------------------------------------------------------------------


def matrix_products(
    config: ModelConfig, batch_size: int, n_predicted: int, lowest: int = 0
) -> Iterator[tuple[int, int, int, int]]:
    """Yield every matrix product of a student-step, as (how many, m, k, n).

    Args:
        config: Of the student.
        batch_size: Rows of a step.
        n_predicted: Tokens of each row that are learned.
        lowest: The lowest block that trains.
    """
    length, d, d_head = config.n_ctx, config.d_model, config.d_model // config.n_heads
    for block in range(lowest, config.n_layers):
        n_queries = n_predicted if block == config.n_layers - 1 else length
        for rows, a, b in (
            (batch_size * length, d, 3 * d),
            (batch_size * n_queries, d, d),
            (batch_size * n_queries, d, config.d_mlp),
            (batch_size * n_queries, config.d_mlp, d),
        ):
            yield 1, rows, a, b  # forward
            yield 1, a, rows, b  # the gradient of the weights
            if block > lowest or (a, b) != (d, 3 * d):
                yield 1, rows, b, a  # the gradient of the input
        # scores and mix, and for each the gradients of both sides
        for m, k, n in ((n_queries, d_head, length), (n_queries, length, d_head)):
            for x, y, z in ((m, k, n), (m, n, k), (k, m, n)):
                yield batch_size * config.n_heads, x, y, z
    yield 1, batch_size * n_predicted, d, config.d_vocab
    yield 1, batch_size * n_predicted, config.d_vocab, d


def flops(config: ModelConfig, batch_size: int, n_predicted: int, lowest: int = 0) -> int:
    """Return the floating-point operations in the matrix products of one student-step.

    Args:
        config: Of the student.
        batch_size: Rows of a step.
        n_predicted: Tokens of each row that are learned.
        lowest: The lowest block that trains.
    """
    each = matrix_products(config, batch_size, n_predicted, lowest)
    return sum(2 * count * m * k * n for count, m, k, n in each)


def work_of_a_seed(studies: Sequence[Study]) -> Json:
    """Return how much training one seed of some studies is: students, their steps, FLOP at most.

    Counted as if every row had a loss, and all that a part of a block's weights could need.
    """
    students, steps, work, seen = 0, 0, 0, set()
    for study in studies:
        for arm in study.arms:
            config = study.config_of(arm)
            world, model_config = config.base.world, config.base.model_config
            blocks = [int(name.split(".")[1]) for name in arm.trainable if name.count(".") > 1]
            is_head = [*arm.trainable] == ["W_U"]
            lowest = model_config.n_layers if is_head else min(blocks, default=0)
            n_biases = len(get_trait(world, config.teacher.trait_name).biases)
            n_biases = len(config.biases_of(0, n_biases))
            training, n_predicted = config.student, world.completion_length
            for run in required_runs(arm):
                key = digest([config.as_dict(), run.spec()])
                if key not in seen:
                    seen.add(key)
                    n_models = n_biases + (run.mask is None)
                    students += n_models
                    steps += n_models * training.steps
                    step = flops(model_config, training.batch_size, n_predicted, lowest)
                    work += n_models * training.steps * step
    return {"students": students, "steps": steps, "flops": work}


def _flops_per_second(count: int, m: int, k: int, n: int, seconds: float = 0.05) -> float:
    """Return the floating-point operations a second of one batched matrix product, alone."""
    a, b, out = torch.rand(count, m, k), torch.rand(count, k, n), torch.empty(count, m, n)
    best, spent = float("inf"), 0.0
    while spent < seconds:
        begun = time.perf_counter()
        torch.bmm(a, b, out=out)
        took = time.perf_counter() - begun
        best, spent = min(best, took), spent + took
    return 2 * count * m * k * n / best


def machine() -> Json:
    """Return one thread's speed in FLOP/s: a large product, and the model's own, each alone."""
    config = Config()
    sizes = (
        config.base.model_config,
        config.student.batch_size,
        config.base.world.completion_length,
    )
    own = list(matrix_products(*sizes))
    with torch_threads(1):
        alone = sum(2 * c * m * k * n / _flops_per_second(c, m, k, n) for c, m, k, n in own)
        large = _flops_per_second(1, 1024, 1024, 1024, 0.5)
    work = flops(*sizes)
    return {"large": large, "own": work / alone, "flops": work}


# What a profile calls "self time" of torch's operations, in kinds.
KINDS = {
    "matrix products": ("bmm", "baddbmm"),
    "softmax and its way back": ("_softmax", "_log_softmax", "_softmax_backward_data"),
    "copies: heads side by side, rows of a batch": ("cat", "copy_", "index", "index_select"),
    "norms, relu, loss, optimizer": (
        # A norm's means are products with a column.
        *("mm", "mul", "mul_", "add", "add_", "sub", "sub_", "addcmul_", "lerp_", "div", "sqrt"),
        *("exp_", "rsqrt", "clamp_min_", "threshold_backward", "linalg_vector_norm", "gather"),
        *("scatter_add_", "relu_", "sum"),
    ),
}
REST = "the rest: views, and what it takes to call"


def profile(count: int = 10) -> dict[str, float]:
    """Return what share of a step of the stack each kind of operation takes, on one thread."""
    with ProcessPool(1) as executor:  # for a process of its own: see `_spent`
        spent = executor.submit(_spent, count).result()
    whole = sum(spent.values())
    shares = {
        kind: sum(spent.get(name, 0.0) for name in names) / whole for kind, names in KINDS.items()
    }
    return {**shares, REST: 1 - sum(shares.values())}


def _spent(count: int) -> dict[str, float]:
    """Return the microseconds in each of torch's operations, by name."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where torch's profiler announces itself
    steps = ours(N_STACKED, gradient_fn=ManualGradient)
    steps(2)
    with torch.autograd.profiler.profile(use_kineto=False) as seen:
        steps(count)
    return {e.key.removeprefix("aten::"): e.self_cpu_time_total for e in seen.key_averages()}


# How it grows -----------------------------------------------------------------------------------


def growth(on_progress: OnProgress = no_progress) -> list[Json]:
    """Return how time grows on one thread: a student-step, or writing and marking lists, in s."""
    cases: list[tuple[str, object, int, ModelConfig | None, str]] = [
        *(("models", m, m, None, "blocks.") for m in (1, 4, 16, 64, 256)),
        *(("d_model", d, 4, ModelConfig(d_model=d, d_mlp=4 * d), "blocks.") for d in WIDTHS),
        *(("n_layers", n, 4, ModelConfig(n_layers=n), "blocks.") for n in (2, 4, 8, 12)),
        *(("trained alone", t, 4, None, t) for t in ("blocks.0.", "blocks.1.", "blocks.3.", "W_U")),
    ]
    rows: list[Json] = []
    with torch_threads(1):
        for name, value, n_models, dimensions, trainable in cases:
            steps = ours(n_models, dimensions, trainable)
            steps(2)
            # A prefix that is computed once is a part of each run, so those are long.
            count = 320 if trainable != "blocks." else max(2, 40 // n_models)
            took = statistics.median(steps(count) for _ in range(3))
            rows.append({"what": name, "value": value, "seconds": took})
            on_progress()
        lab = SeedLab(Config(), 0, Store.default())
        _ = lab.teachers  # made before the clock runs
        for count in (1000, 4000, 16000, 64000):
            begun = time.perf_counter()
            lists = generate_lists(lab.teachers, lab.biases, count, 0)
            mark_divergence_tokens(lab.teachers, lists)
            rows.append({"what": "lists", "value": count, "seconds": time.perf_counter() - begun})
            on_progress()
    return rows


def growth_of_a_study(folder: Path, on_progress: OnProgress = no_progress) -> list[Json]:
    """Return the seconds of the study of `divergence --quick` on all cores, one setting at a time.

    From two seeds on. Bases of other widths are pretrained shortly, and before the clock runs.

    Args:
        folder: For its stores.
        on_progress: Called after each case.
    """
    study = FINDINGS["divergence"].quick().study
    usual, config = 2, study.config
    short = replace(config.base, training=replace(config.base.training, steps=600))
    steps, n_lists = config.student.steps, config.n_lists
    cases: list[tuple[str, int, Config, int]] = [
        *(("seeds", n, config, n) for n in (2, 4, 8)),  # of one alone, arms are spread, not seeds
        *(("biases a seed", b, replace(config, biases_per_seed=b), usual) for b in (1, 2, 4, 8)),
        *(("lists", n, replace(config, n_lists=n), usual) for n in (n_lists, 4 * n_lists)),
        *(
            ("students' steps", n, replace(config, student=replace(config.student, steps=n)), usual)
            for n in (steps, 4 * steps)
        ),
        *(
            (
                "d_model",
                d,
                replace(config, base=replace(short, model=ModelConfig(d_model=d, d_mlp=4 * d))),
                usual,
            )
            for d in WIDTHS[:3]
        ),
    ]
    rows: list[Json] = []
    for number, (name, value, changed, count) in enumerate(cases):
        one, seeds = replace(study, config=changed), range(count)
        store = Store(folder / str(number))
        for base_config, seed in missing_bases([one], seeds, store):
            load_base(base_config, seed, store)
        begun = time.perf_counter()
        one.run(seeds, store)
        rows.append({"what": name, "value": value, "seconds": time.perf_counter() - begun})
        on_progress()
    return rows
