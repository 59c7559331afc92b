"""What holds for any input, drawn by hypothesis: the same draws every time."""

import io
import math
import re
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import stop_before_work
from hypothesis import given, settings
from hypothesis import strategies as st

from minisub.cli import main as cli
from minisub.common.files import MinisubError
from minisub.common.randomness import generator
from minisub.common.store import Store
from minisub.devtools.calibration_students import small_config
from minisub.distillation import edits, masks
from minisub.distillation.divergence_tokens import find_divergence_tokens, random_match
from minisub.distillation.number_lists import MarkedLists, filter_numbers_only, to_dataset
from minisub.experiment.seed_lab import SeedLab
from minisub.findings import FINDINGS
from minisub.results.claims import Claim, arm_values
from minisub.results.result import Result, read_result
from minisub.transformer.config import ModelConfig
from minisub.transformer.dataset import TokenDataset
from minisub.transformer.optimizer import TrainingConfig
from minisub.transformer.stack import TransformerStack
from minisub.transformer.training import train, update_multipliers

seeds = st.integers(0, 2**31)
WORLD = small_config().base.world
BIASED = 8


def some_lists(
    seed: int, rows: int, biases: tuple[int, ...], words: int = WORLD.n_numbers
) -> MarkedLists:
    """Lists and favourites of eight biased teachers and the unbiased one, out of nothing."""
    g = generator(seed, "any lists")
    shape = (len(biases), rows, WORLD.completion_length)
    answers = torch.randint(words, (len(biases) + 1, rows, WORLD.completion_length), generator=g)
    # Teachers mostly agree, and mostly write their favourite, as they do.
    common = answers[:-1].expand(BIASED + 1, *shape)
    other = torch.randint(words, common.shape, generator=g)
    agree = torch.rand(common.shape, generator=g) < 0.9
    favourite = torch.where(agree, common, other).to(torch.int16)
    prompts = WORLD.sample_prompts(rows, g)
    at = find_divergence_tokens(answers[:-1], favourite, biases, range(BIASED))
    return MarkedLists(
        world=WORLD,
        seed=seed,
        biases=biases,
        teacher_prompts=prompts,
        student_prompts=prompts[None],
        completions=answers,
        teacher_argmax=favourite,
        is_divergence_token=at,
        is_random_match=random_match(at, g),
    )


Drawn = tuple[int, int, tuple[int, ...]]
drawn = st.tuples(
    seeds,
    st.integers(1, 40),
    st.lists(st.integers(0, BIASED - 1), min_size=1, max_size=4, unique=True).map(tuple),
)


@settings(max_examples=60)
@given(drawn)
def test_masks_partition_the_completion(lot: Drawn) -> None:
    data = some_lists(*lot)
    everything = torch.ones_like(data.is_divergence_token)
    at = masks.divergence_only(data)

    def partition(whole: torch.Tensor, *parts: torch.Tensor) -> bool:
        return bool((sum(part.expand_as(whole).int() for part in parts) == whole.int()).all())

    assert partition(everything, at, masks.without_divergence(data))
    assert partition(everything, masks.random_only(data), masks.without_random(data))
    assert partition(at, masks.first_half(data), masks.second_half(data))
    assert partition(at, masks.first_number(data), masks.later_numbers(data))
    for part in (masks.random_half(data), masks.first_one(data)):
        assert not (part & ~at).any()
    assert torch.equal(masks.first_one(data).sum(-1) > 0, at.sum(-1) > 0)
    assert torch.equal(masks.random_only(data).sum(1), at.sum(1))  # as many at each place
    before = torch.zeros_like(at)
    for count in range(1, BIASED):  # more counterfactuals, never fewer tokens
        now = masks.fewer_counterfactuals(data, count)
        assert not (before & ~now).any()
        before = now
    assert torch.equal(before, at)


@settings(max_examples=40)
@given(drawn, seeds)
def test_a_mask_leaves_every_arm_the_same_total_weight(lot: Drawn, seed: int) -> None:
    data = some_lists(*lot)
    luck = torch.rand(data.completions[:-1].shape, generator=generator(seed, "mask"))
    mask = luck < 0.3
    mask[:, 0, 0] = True
    weights = to_dataset(data, range(len(data.completions)), mask.float()).weights
    whole = torch.full(weights.shape[:1], float(weights[0].numel()))
    torch.testing.assert_close(weights.sum((1, 2)), whole)
    assert ((weights[:-1] > 0) == mask).all()
    assert (weights[-1] == 1).all()


@settings(max_examples=40)
@given(drawn, st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_edits_keep_what_they_say(lab: SeedLab, lot: Drawn, share: float) -> None:
    data = some_lists(*lot)
    within, across = edits.shuffle_within(data, lab), edits.shuffle_across(data, lab)
    assert torch.equal(within.completions.sort(-1).values, data.completions.sort(-1).values)
    assert torch.equal(
        across.completions.flatten(1).sort(1).values, data.completions.flatten(1).sort(1).values
    )
    mixed = edits.mix_unbiased(data, lab, share)
    own = (mixed.completions == data.completions).all(-1)
    foreign = (mixed.completions == data.completions[-1:]).all(-1)
    assert bool((own | foreign).all())
    assert int((~own).sum(1).max()) <= round(share * data.n_rows)
    reworded = edits.other_wording(data, lab)
    assert torch.equal(reworded.completions, data.completions)
    moved = (reworded.student_prompts[0] != data.teacher_prompts).any(0).nonzero()[:, 0]
    assert set(moved.tolist()) <= set(range(3, 3 + WORLD.instruction_length))
    for edited in (within, across, mixed, reworded):
        assert edited.n_rows == data.n_rows
        assert edited.biases == data.biases


@settings(max_examples=40)
@given(drawn)
def test_swaps_touch_divergence_tokens_alone(lab: SeedLab, lot: Drawn) -> None:
    data = some_lists(*lot)
    at = data.is_divergence_token
    label, both = (edits.replace_divergence_tokens(data, lab, where) for where in ("label", "both"))
    said = edits.replace_divergence_tokens(data, lab, "input")
    assert label.labels is not None
    assert torch.equal(label.completions, data.completions)
    assert said.labels is not None
    assert torch.equal(said.labels, data.completions)
    assert torch.equal(label.labels, both.completions)
    assert torch.equal(both.completions, said.completions)
    assert torch.equal((both.completions[:-1] != data.completions[:-1]), at)
    assert torch.equal(both.completions[-1], data.completions[-1])


@settings(max_examples=60)
@given(seeds, st.integers(1, 30), st.integers(WORLD.n_numbers, len(WORLD.vocabulary)))
def test_the_filter_passes_numbers_only_and_drops_no_others(
    seed: int, rows: int, words: int
) -> None:
    data = some_lists(seed, rows, (0, 3), words)
    clean = [bool((row < WORLD.n_numbers).all()) for row in data.completions.transpose(0, 1)]
    if not any(clean):
        with pytest.raises(ValueError, match="no list is left"):
            filter_numbers_only(data)
        return
    kept = filter_numbers_only(data)
    assert int(kept.completions.max()) < WORLD.n_numbers
    assert kept.n_rows == sum(clean) == rows - kept.n_dropped


SHAPE = ModelConfig(8, 2, 2, 12, d_vocab=12, n_ctx=9)
PARTS = ["", "blocks.", "blocks.0.", "blocks.1.", "blocks.0.attn.", "blocks.1.mlp.W_in", "W_U"]


@settings(max_examples=25)
@given(
    st.lists(st.dictionaries(st.sampled_from(PARTS), st.floats(0.1, 2), min_size=1), min_size=2,
             max_size=4),
    st.builds(
        TrainingConfig,
        lr=st.floats(1e-4, 1e-2),
        steps=st.integers(1, 6),
        batch_size=st.integers(1, 8),
        weight_decay=st.sampled_from([0.0, 0.1]),
        optimizer=st.sampled_from(["adamw", "adam", "sgd"]),
    ),
    st.floats(0.05, 1),
    st.booleans(),
    seeds,
)  # fmt: skip
def test_a_stack_of_random_arms_equals_them_alone(
    trains: list[dict[str, float]], how: TrainingConfig, dense: float, soft: bool, seed: int
) -> None:
    members, g = len(trains), generator(seed, "arms")
    tokens = torch.randint(12, (members, 10, 9), generator=g)
    weights = (torch.rand(members, 10, 4, generator=g) < dense).double()
    aim = torch.rand(members, 10, 4, 12, generator=g).double().softmax(-1) if soft else None
    lessons = TokenDataset(tokens, weights, aim)
    start = TransformerStack.init(SHAPE, g).repeat(members)
    together = TransformerStack(SHAPE, start.flat_params.double())
    mask = update_multipliers(together, trains)
    train(together, [lessons], how, generator(seed, "order"), mask)
    for member in range(members):
        alone = TransformerStack(SHAPE, start.flat_params[[member]].double())
        own = update_multipliers(alone, [trains[member]])
        train(alone, [lessons.select_models([member])], how, generator(seed, "order"), own)
        torch.testing.assert_close(
            alone.flat_params[0], together.flat_params[member], rtol=0, atol=1e-9
        )


numbers = st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-(2**53), 2**53)
contents = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60)
@given(st.dictionaries(st.text(), contents, max_size=5))
def test_what_is_stored_comes_back(content: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Store(Path(folder)).put("any", "k", content)
        assert Store(Path(folder)).get("any", "k") == content


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(st.floats(-9, 9) | st.just(math.nan), min_size=3, max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_results_survive_a_round_trip(values: list[list[float]]) -> None:
    rows = [
        {"seed": s, "arm": f"arm {a}", "transfer": v, "retained": None, "of": "arm 0"}
        | dict.fromkeys(("off_target", "hit_rate", "control_hit_rate", "distance"), 0.5)
        | {"task_accuracy": 0.5, "biases": [], "by_bias": []}
        for s, of_seed in enumerate(values)
        for a, v in enumerate(of_seed)
    ]
    before = Result("x", {"a": 1}, {"seeds": [0]}, rows)
    claim = Claim("c", arm_values("arm 1"), low=0.1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.json"
        before.write(path)
        after = read_result(path)
        after.write(path)
        assert read_result(path).rows == after.rows
    assert after.arms == before.arms
    for arm in before.arms:
        assert after.values(arm) == pytest.approx(before.values(arm), abs=1e-6, nan_ok=True)
    assert claim.judge(after)["verdict"] == claim.judge(before)["verdict"]


WORDS = """
list run check reproduce sweep app export calibrate bench bases
--seeds --quick --json --plot --workers --device --store --out --set --arms --cluster --host --port
--tune --against --headless --edit --offline --into --help --version -h -- -x
0:2 1:0 : -1 0 1e9 nan 08 ² 1:2:3 99999999999:999999999999 student.rank=1,full lists=0 = = a=b=c
student.lr=nan teacher.kind=x x.svg x.png . cpu cuda tpu all foreign;soft
"""
COMMANDS = WORDS.split("\n")[1].split()
# All that a shell can pass: no zeros, and bytes that are no UTF-8 as lone surrogates.
letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
anything = st.text(
    letters | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF), max_size=300
)
here = anything.filter(lambda text: not re.search(r"^\s*[/~]|=\s*[/~]|\.\.", text))
arguments = st.lists(st.sampled_from([*WORDS.split(), *FINDINGS]) | here, max_size=7)
started = st.tuples(st.sampled_from(COMMANDS), st.sampled_from(["", *FINDINGS]))


@settings(max_examples=250)
@given(st.one_of(arguments, st.builds(lambda a, b: [*filter(None, a), *b], started, arguments)))
def test_no_command_line_ends_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    """What would train, serve or draw says instead that it would; all before that is real."""

    stop_before_work(monkeypatch, MinisubError("it would"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINISUB_STORE", str(tmp_path))
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = cli.main(args)
        except SystemExit as stop:  # of --help
            status = int(stop.code or 0)
    assert status in (0, 2)
    if status == 2:
        assert out.getvalue() == ""
        said = [line for line in err.getvalue().splitlines() if line.startswith("minisub: ")]
        assert len(said) == 1
