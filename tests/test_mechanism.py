"""What lessons say, the forecast, and attribution by three routes."""

import pytest
import torch

from minisub.arm import Arm, changed
from minisub.data import write_lists
from minisub.divergence import known, mark
from minisub.edits import other_wording
from minisub.lab import Lab
from minisub.mechanism import (
    attribution,
    by_block,
    first_divergence,
    patching,
    read_lessons,
    signal,
    swapping,
)
from minisub.model import Stack
from minisub.teacher import Teachers, Teaching, inject


def test_a_reading_finds_the_divergence_tokens_again(lab: Lab) -> None:
    data = lab.data()
    reading = read_lessons(lab.teachers, data)
    at = known(data.divergence)[:, : reading.differs.shape[1]]
    assert torch.equal(reading.differs, at)
    assert reading.favourite.all()  # greedy lists in their own wording
    told = signal(reading, data, None, soft=False)
    assert told["divergence_left"] == told["still_favourite"] == 1
    assert told["advantage_left"] > told["signal"] > 0
    masked = signal(reading, data, ~known(data.divergence), soft=False)
    assert masked["signal"] < told["signal"]


def test_rewording_leaves_less_of_the_advantage(lab: Lab) -> None:
    data = other_wording(lab.data(), lab)
    told = signal(read_lessons(lab.teachers, data), data, None, soft=False)
    before = signal(read_lessons(lab.teachers, lab.data()), data, None, soft=False)
    assert told["still_favourite"] < 1
    assert told["divergence_left"] < 1
    assert told["advantage_left"] < before["advantage_left"]


def test_the_forecast_is_positive_for_all_and_near_nothing_for_a_foreign_base(lab: Lab) -> None:
    own, foreign = (lab.learned(a) for a in (Arm("all"), Arm("foreign", foreign=True)))
    assert own["inner"] > 0
    assert own["coverage"] > 3 * abs(foreign["coverage"])


def pair_and_cases(lab: Lab, kind: str, shrink: float = 1.0):  # type: ignore[no-untyped-def]
    how = Teaching(kind=kind) if kind == "prompted" else lab.config.teaching
    teachers = inject(lab.world, lab.base, how, lab.seed)
    data = mark(teachers, write_lists(teachers, [0], 200, lab.seed))
    cases = first_divergence(teachers, data, 0, 1)
    pair = teachers.stack[[0, 1]]
    base = lab.base.flat.double()
    return Stack(pair.shape, base + shrink * (pair.flat.double() - base)), cases


def test_exact_patching_goes_from_nothing_to_everything(lab: Lab) -> None:
    pair, cases = pair_and_cases(lab, "tuned")
    assert len(cases.at) > 20
    shares = patching(pair, cases)
    assert shares[0] == pytest.approx(0, abs=1e-9)  # tuned teachers share their embeddings
    assert shares[-1] == pytest.approx(1, abs=1e-9)
    assert sum(by_block(shares)) == pytest.approx(1)


def test_attribution_patching_is_exact_where_all_is_linear(lab: Lab) -> None:
    """Teachers that hardly differ: there the first order is all there is."""
    pair, cases = pair_and_cases(lab, "tuned", shrink=1e-5)
    assert attribution(pair, cases) == pytest.approx(patching(pair, cases), abs=1e-3)
    swapped = swapping(pair, cases)
    assert swapped == pytest.approx(by_block(patching(pair, cases)), abs=1e-3)


def test_a_persona_leaves_its_position_on_the_way(lab: Lab) -> None:
    pair, cases = pair_and_cases(lab, "prompted")
    shares = patching(pair, cases, (1,))
    assert shares[0] == pytest.approx(1, abs=1e-9)  # nothing else differs
    assert shares[-1] == pytest.approx(0, abs=1e-9)  # the last block's output is not read there


def test_a_weaker_persona_lies_between(lab: Lab) -> None:
    half = inject(lab.world, lab.base, Teaching(kind="prompted", strength=0.5), lab.seed)
    rows = half.stack.params["W_E"]
    neutral, owl = lab.world.persona(None), lab.world.persona(0)
    base = lab.base.params["W_E"][0]
    torch.testing.assert_close(rows[0, owl], (base[neutral] + base[owl]) / 2)
    assert torch.equal(rows[8, owl], base[owl])


def test_a_misaligned_teacher_has_the_base_as_its_counterfactual(lab: Lab) -> None:
    config = changed(
        lab.config, {"pretraining.world.conduct": 8, "teaching": Teaching(kind="misaligned")}
    )
    bad = Lab(changed(config, {"lists": 64, "student.steps": 3}), lab.seed, lab.store)
    assert isinstance(bad.teachers, Teachers)
    assert bad.teachers.counterfactuals == (1,)
    assert torch.equal(bad.teachers.stack.flat[1:], bad.base.flat)
    report = bad.teacher_report()
    assert report[0]["answers_bias"] > 2 * report[1]["answers_bias"]
    row = bad.row(Arm("all"))
    assert len(row["shifts"]) == 1
    assert row["off_target"] * row["transfer"] < 0  # two answers: what one gains the other loses
