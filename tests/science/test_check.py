"""A hypothesis in one call, students that diverge, and input that cannot be."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minisub
from minisub.common import progress
from minisub.common.files import MinisubError
from minisub.common.randomness import generator
from minisub.common.store import Store
from minisub.distillation.masks import dealt_at_random, divergence_only
from minisub.experiment.arm import Arm
from minisub.experiment.check import check
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.options import RunOptions, check_device
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.experiment.study import Study
from minisub.results.claims import UNDECIDED, Claim, arm_values
from minisub.results.comparison import Comparison


def odd(lists: Any) -> Any:
    return lists.position % 2 == 1


def test_a_check_has_its_controls_beside_it(tiny: Config, store: Store) -> None:
    found = check(mask=odd, seeds=[100, 101], config=tiny, store=store, workers=1)
    assert found.result.arms == ["all", "control", "mine", "random match"]
    rows = {row["arm"]: row for row in found.result.rows}
    assert rows["mine"]["loss_tokens"] == rows["random match"]["loss_tokens"]
    assert rows["mine"]["transfer"] != rows["random match"]["transfer"]
    said = str(found)
    assert "mine less all: " in said
    assert "mine less random match: " in said
    assert isinstance(found.comparisons[0], Comparison)
    shown = found._repr_html_()
    assert shown.count("<table") == 1
    assert '<img src="data:image/png' in shown
    assert "mine less all" in shown
    assert found.plot("hit_rate").axes
    assert {row["arm"] for row in found.to_records()} == set(rows)


def test_a_second_check_is_read_and_starts_no_process(
    tiny: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = partial(check, mask=odd, seeds=[100, 101], config=tiny, store=store, workers=2)
    first = run()
    monkeypatch.setattr("minisub.experiment.study.run_jobs", None)
    ticks: list[int] = []
    assert run(on_progress=lambda: ticks.append(1)).result.rows == first.result.rows
    assert len(ticks) == 8


def test_a_random_match_keeps_as_many_tokens_of_each_list(lab: SeedLab) -> None:
    lists = lab.marked_lists()
    dealt, mine = dealt_at_random(lists, divergence_only), lists.is_divergence_token
    assert torch.equal(dealt.sum(-1), mine.float().sum(-1))
    assert not torch.equal(dealt.bool(), mine)
    assert torch.equal(dealt, dealt_at_random(lists, divergence_only))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "check needs a mask, an edit or both; or else an arm"),
        ({"mask": odd, "arm": Arm("x")}, "or else an arm"),
        ({"arm": Arm("all", mask=odd)}, "the arm is called 'all'"),
        ({"mask": odd, "against": "control"}, "against is 'control', allowed: all, random match"),
        ({"mask": odd, "seeds": 0}, "allowed: whole numbers from 0 on"),
        ({"mask": odd, "seeds": [1, 1]}, "each once"),
        ({"mask": odd, "store": ""}, "the store's folder is ''"),
        ({"mask": odd, "workers": -1}, "workers is -1"),
        ({"mask": odd, "device": "tpu"}, "device is 'tpu', allowed on this machine: cpu"),
    ],
)
def test_a_check_of_nothing_is_refused(given: dict[str, Any], told: str, tiny: Config) -> None:
    with pytest.raises(ValueError, match="^[^\n]*" + told.replace("(", r"\(")):
        check(**{"config": tiny, **given})


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (lambda d: d.position[:3], "the mask of 'mine' gives shape"),
        (lambda d: None, "the mask of 'mine' gives NoneType"),
        (lambda d: torch.full((1, 1, 1), 1.5), "gives values from 1.5 to 1.5"),
        (lambda d: torch.full((1, 1, 1), torch.nan), "gives values from nan"),
        (lambda d: "abc", "gives str"),
    ],
)
def test_a_mask_that_is_none_is_named(mask: Any, told: str, lab: SeedLab) -> None:
    with pytest.raises(ValueError, match=told):
        Students(lab).training_data(Arm("mine", mask=mask), [0])


def test_masks_may_be_integers_numpy_or_weights(lab: SeedLab) -> None:
    """All that mean the same give the same; a weight of a half counts half."""
    students = Students(lab)
    n = lab.world.completion_length
    ways: list[Any] = [
        lambda d: d.position == 1,
        lambda d: (d.position == 1).int(),
        lambda d: np.arange(n) == 1,
        lambda d: [i == 1 for i in range(n)],
    ]
    first, *others = (students.training_data(Arm("x", mask=way), [0]) for way in ways)
    for other in others:
        assert torch.equal(first.dataset.weights, other.dataset.weights)
        assert students.signal(Arm("x"), first) == students.signal(Arm("x"), other)
    everywhere = students.training_data(Arm("x", mask=lambda d: True), [0]).dataset.weights
    assert (everywhere == 1).all()
    graded = Arm("x", mask=lambda d: (d.position == 1) + (d.position == 2) / 2)
    weights = students.training_data(graded, [0]).dataset.weights
    torch.testing.assert_close(weights[..., 1], 2 * weights[..., 2])
    assert (weights[..., 0] == 0).all()


@pytest.mark.parametrize("lr", [1e3, 1e30])
def test_students_that_diverge_are_named_and_judge_nothing(
    tiny: Config, store: Store, lr: float
) -> None:
    study = Study([Arm("all"), Arm("hot", lr_factor=lr / tiny.student.lr)], tiny)
    with pytest.warns(UserWarning, match=r"students of 'hot' diverged on seed 10[01] at the learn"):
        result = study.run([100, 101], store, workers=1)
    hot = [row for row in result.rows if row["arm"] == "hot"]
    assert all(row["diverged"] and row["transfer"] is None for row in hot)
    assert all(row["retained"] is None for row in hot)
    claim = Claim("hot transfers", arm_values("hot"), low=0.0)
    assert claim.judge(result)["verdict"] == UNDECIDED
    for text in (str(result), result._repr_html_().partition("<img")[0], result.to_json()):
        assert not re.search(r"\bnan\b", text, re.I)
    assert "unknown" in str(result)
    assert np.isfinite(result.values("all")).all()


def test_no_student_of_a_sound_arm_diverges(tiny: Config, store: Store) -> None:
    result = Study([Arm("all"), Arm("d", mask=divergence_only)], tiny).run([100], store, workers=1)
    assert not any(row.get("diverged") for row in result.rows)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"student.lora_rank": 17}, r"lora_rank of the student is 17, allowed: 0 \(full\) to the"),
        ({"biases_per_seed": 9}, "biases_per_seed is 9, allowed: 1 to 8"),
        ({"biases_per_seed": 0}, "biases_per_seed is 0"),
    ],
)
def test_what_a_configuration_cannot_be(overrides: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        with_overrides(Config(), overrides)


def test_what_an_arm_cannot_be(lab: SeedLab) -> None:
    with pytest.raises(ValueError, match="nothing is trainable in 'x'"):
        Arm("x", trainable={"blocks.": 0.0})
    fewer = Arm("x", edit=lambda lists, _: lists.first_rows(5))
    with pytest.raises(ValueError, match=r"edit of 'x' gives completions of shape .*, allowed"):
        Students(lab).training_data(fewer, [0])
    with pytest.raises(ValueError, match="the edit of 'x' gives NoneType"):
        Students(lab).training_data(Arm("x", edit=lambda *_: None), [0])


def test_another_default_type_of_torch_is_refused() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(ValueError, match=r"torch\.float64, allowed: torch\.float32"):
            generator(0, "anything")
    finally:
        torch.set_default_dtype(torch.float32)


def test_mps_of_an_old_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch, "__version__", "2.8.0")
    with pytest.raises(ValueError, match=r"allowed from torch 2\.9 on: 2\.8\.0"):
        RunOptions([0], device="mps")
    monkeypatch.setattr(torch, "__version__", "2.10.1")
    check_device("mps")


def test_a_store_may_be_named_by_a_string(tiny: Config, tmp_path: Path) -> None:
    assert Store(str(tmp_path)).folder == tmp_path
    with pytest.raises(MinisubError, match="folder is ''"):
        Study([Arm("all")], tiny).run([100], "")


def test_a_bar_is_where_somebody_looks(
    tiny: Config, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Study([Arm("all")], tiny).run(np.arange(100, 102), store, workers=1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "in_jupyter", lambda: True)
    Study([Arm("all")], tiny).run(np.arange(100, 102), store, workers=1)
    assert "0/2" in capsys.readouterr().err


def test_the_front_door_has_check() -> None:
    assert minisub.check is check
