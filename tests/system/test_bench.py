"""The benchmark: what it counts, and that its contenders do the same work."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minisub.cli import main as cli
from minisub.common.files import Json
from minisub.common.randomness import generator
from minisub.common.store import Store
from minisub.devtools import benchmark, costs, peers, plain_torch
from minisub.distillation.base import BaseConfig
from minisub.distillation.masks import divergence_only
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.study import Study, missing_bases
from minisub.findings import FINDINGS
from minisub.transformer.config import ModelConfig
from minisub.transformer.stack import TransformerStack

SHAPE = ModelConfig(8, 2, 2, 16, d_vocab=12, n_ctx=9)


def test_products_are_those_of_a_step() -> None:
    """Against the usual count: 2 a weight and token forward, twice that back, and attention."""
    tokens, predicted = 4 * SHAPE.n_ctx, 4 * SHAPE.n_ctx
    blocks = sum(a * b for name, (a, b), _ in SHAPE.parameters() if name.startswith("blocks."))
    usual = 6 * blocks * tokens
    first = (
        2 * SHAPE.d_model * 3 * SHAPE.d_model * tokens
    )  # the first block's input needs no gradient
    attention = 3 * SHAPE.n_layers * 2 * 2 * tokens * SHAPE.n_ctx * SHAPE.d_model
    read = 2 * 2 * predicted * SHAPE.d_model * SHAPE.d_vocab
    assert costs.flops(SHAPE, 4, SHAPE.n_ctx) == usual - first + attention + read


def test_plain_torch_reads_no_further_than_it_may() -> None:
    torch.manual_seed(0)
    model = plain_torch.Plain(SHAPE).eval()
    ids = torch.randint(12, (2, 9), generator=generator(0, "ids"))
    other = ids.clone()
    other[:, 5:] = (other[:, 5:] + 1) % 12
    with torch.no_grad():
        torch.testing.assert_close(model(ids)[:, :5], model(other)[:, :5])
        assert not torch.allclose(model(ids)[:, 5:], model(other)[:, 5:])


def test_a_step_costs_less_the_higher_its_lowest_block() -> None:
    shape, predicted = Config().base.model_config, 8
    each = [costs.flops(shape, 32, predicted, lowest) for lowest in range(shape.n_layers + 1)]
    assert each == sorted(each, reverse=True)
    assert each[-1] == 2 * 2 * 32 * predicted * shape.d_model * shape.d_vocab  # W_U, twice


def test_all_findings_are_counted_once() -> None:
    """An arm that several findings share is trained once, and so is an unmasked arm's control."""
    config = Config(biases_per_seed=2)
    arms = [
        Arm("all"),
        Arm("control", control=True),
        Arm("foreign", other_base=True),
        Arm("d", mask=divergence_only),
    ]
    finding = replace(FINDINGS["shuffle"], arms=arms, claims=(), config=config)
    steps = config.student.steps
    whole = costs.work_of_a_seed([finding.study, finding.study])
    assert (whole["students"], whole["steps"]) == (8, 8 * steps)
    assert whole["flops"] == 8 * steps * costs.flops(config.base.model_config, 32, 8)


def test_contenders_have_as_many_weights_to_move() -> None:
    """But for the biases and gains that torch's layers bring: some 800 of 12,000."""
    shape = Config().base.model_config
    ours = sum(a * b for name, (a, b), _ in shape.parameters() if name.startswith("blocks."))
    plain = sum(p.numel() for n, p in plain_torch.Plain(shape).named_parameters() if "blocks." in n)
    assert ours <= plain < 1.08 * ours


@pytest.mark.integration
def test_a_race_of_one_round() -> None:
    found = benchmark.race(n_rounds=1)
    for name in (peers.MANY, peers.ONE, peers.PLAIN):
        assert found["seconds"][name][0] > 0
        assert found["memory"][name] > 50
    own = costs.machine()
    assert f"| {peers.MANY} |" in benchmark.bench_markdown(found, own)
    for _, ratio, bar in benchmark.judged(found, own):
        assert ratio > 0
        assert bar >= 0.35


@pytest.mark.parametrize(("slower", "status"), [(6.5, 0), (5.0, 1)])
def test_bench_ends_with_1_where_it_misses_its_mark(
    slower: float, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All contenders `slower` times as slow; the table goes where it belongs."""
    seconds = {name: [1.0 if "minisub" in name else slower] for name in peers.CONTENDERS}
    found = {"seconds": seconds, "memory": dict.fromkeys(seconds, 1.0), "missing": []}
    monkeypatch.setattr(benchmark, "race", lambda **_: found)
    monkeypatch.setattr(costs, "machine", lambda: {"large": 2e9, "own": 1e9, "flops": 5e8})
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- end -->\nafter\n")
    assert cli.main(["bench", "--quick", "--into", str(page)]) == status
    text = page.read_text()
    assert text.startswith("before\n<!-- bench -->\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    assert f"| {peers.PLAIN} | {slower * 1e3:.2f} |" in text


def test_a_profile_is_shares_of_the_whole(capfd: pytest.CaptureFixture[str]) -> None:
    """And is not announced: torch's profiler would be."""
    shares = costs.profile(2)
    assert sum(shares.values()) == pytest.approx(1)
    assert all(0 < share < 0.95 for share in shares.values())
    assert max(shares, key=lambda kind: shares[kind]) == "matrix products"
    assert "profiler" not in "".join(capfd.readouterr())


def test_a_study_grows_by_one_dial_at_a_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each is the finding's own study, with bases that are there before the clock runs."""
    seen: list[dict[str, int]] = []

    def run(study: Study, seeds: Sequence[int], store: Store) -> None:
        assert not missing_bases([study], seeds, store)
        how = study.config
        dials = {"seeds": len(seeds), "biases a seed": how.biases_per_seed, "lists": how.n_lists}
        size = how.base.model
        assert size.d_mlp == 4 * size.d_model
        seen.append({**dials, "students' steps": how.student.steps, "d_model": size.d_model})

    def blank(how: BaseConfig, seed: int, device: str) -> tuple[TransformerStack, Json]:
        return TransformerStack(how.model_config, torch.zeros(1, how.model_config.n_params)), {}

    monkeypatch.setattr(Study, "run", run)
    monkeypatch.setattr("minisub.distillation.base.pretrain", blank)
    rows = costs.growth_of_a_study(tmp_path)
    usual = seen[0]
    assert usual["seeds"] == 2
    for row, dials in zip(rows, seen, strict=True):
        assert dials == {**usual, row["what"]: row["value"]}
    for dial in usual:
        assert len({row["value"] for row in rows if row["what"] == dial}) > 1, dial


def test_what_is_told_beside_the_race_is_in_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = {"what": "depth", "value": 2, "seconds": 0.001}
    monkeypatch.setattr(costs, "profile", lambda: {"a kind": 0.5})
    monkeypatch.setattr(costs, "growth", lambda tick: [row, {**row, "what": "lists"}])
    monkeypatch.setattr(costs, "growth_of_a_study", lambda folder, tick: [{**row, "what": "seeds"}])
    monkeypatch.setattr(benchmark, "whole_seed", lambda folder, tick: {"ours": 1.0, "plain": 5.0})
    seconds = {key: [1.0] for key in peers.CONTENDERS}
    found = {"seconds": seconds, "memory": dict.fromkeys(seconds, 1.0), "missing": ["one"]}
    own, more = {"large": 2e9, "own": 1e9, "flops": 5e8}, benchmark.more_measurements(tmp_path)
    text = benchmark.bench_markdown(found, own, more)
    for line in (
        "| a kind | 50% |",
        "| depth | 2 | 1.00 |",
        "| 2 lists of 5 teachers, written and marked by 9 |  | 0.0 s in all |",
        "| seeds | 2 | 0.0 |",
        "5.00 times as long",
        "Not installed (extra `bench`): one.",
    ):
        assert line in text
    assert benchmark.judged(found, own, more)[-1][1:] == (5.0, 6.0)


def test_a_ratio_is_of_the_same_round() -> None:
    seconds = {"a": [1.0, 2.0, 4.0], "b": [3.0, 6.0, 4.0]}
    assert benchmark.ratios(seconds, "a", "b") == (3.0, 1.0, 3.0)


@pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated")
@pytest.mark.parametrize("name", [n for n in peers.CONTENDERS if n not in (peers.MANY, peers.AUTO)])
def test_every_contender_that_is_installed_takes_steps(name: str) -> None:
    modules, make, _ = peers.CONTENDERS[name]
    for module in modules:
        pytest.importorskip(module, reason=f"{module} is not installed (extra `bench`)")
    assert make()(2) > 0
