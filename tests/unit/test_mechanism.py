"""What lessons say, the forecast, and attribution by three routes."""

import pytest
import torch

from minisub.distillation.divergence_tokens import mark_divergence_tokens
from minisub.distillation.edits import other_wording
from minisub.distillation.number_lists import generate_lists
from minisub.distillation.teachers import TeacherConfig, Teachers, make_teachers
from minisub.experiment.arm import Arm
from minisub.experiment.config import with_overrides
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.mechanism.bias_signal import bias_signal, score_lists
from minisub.mechanism.patching import (
    activation_patching,
    attribution_patching,
    by_block,
    first_divergence_pairs,
    weight_swapping,
)
from minisub.transformer.stack import TransformerStack


def test_a_reading_finds_the_divergence_tokens_again(lab: SeedLab) -> None:
    data = lab.marked_lists()
    reading = score_lists(lab.teachers, data)
    at = data.is_divergence_token[:, : reading.is_divergence_token.shape[1]]
    assert torch.equal(reading.is_divergence_token, at)
    assert reading.is_argmax.all()  # greedy lists in their own wording
    told = bias_signal(reading, data, None, soft=False)
    assert told["divergence_left"] == told["still_favourite"] == 1
    assert told["advantage_left"] > told["signal"] > 0
    masked = bias_signal(reading, data, (~data.is_divergence_token).float(), soft=False)
    assert masked["signal"] < told["signal"]


def test_rewording_leaves_less_of_the_advantage(lab: SeedLab) -> None:
    data = other_wording(lab.marked_lists(), lab)
    told = bias_signal(score_lists(lab.teachers, data), data, None, soft=False)
    before = bias_signal(score_lists(lab.teachers, lab.marked_lists()), data, None, soft=False)
    assert told["still_favourite"] < 1
    assert told["divergence_left"] < 1
    assert told["advantage_left"] < before["advantage_left"]


def test_the_forecast_is_positive_for_all_and_near_nothing_for_a_foreign_base(
    students: Students,
) -> None:
    own, foreign = (students.measured(a) for a in (Arm("all"), Arm("foreign", other_base=True)))
    assert own["inner"] > 0
    assert own["coverage"] > 3 * abs(foreign["coverage"])


def pair_and_cases(lab: SeedLab, kind: str, shrink: float = 1.0):
    how = TeacherConfig(kind=kind) if kind == "prompted" else lab.config.teacher
    teachers = make_teachers(lab.world, lab.base, how, lab.seed)
    data = mark_divergence_tokens(teachers, generate_lists(teachers, [0], 200, lab.seed))
    cases = first_divergence_pairs(teachers, data, 0, 1)
    pair = teachers.stack[[0, 1]]
    base = lab.base.flat_params.double()
    return TransformerStack(pair.config, base + shrink * (pair.flat_params.double() - base)), cases


def test_exact_patching_goes_from_nothing_to_everything(lab: SeedLab) -> None:
    pair, cases = pair_and_cases(lab, "tuned")
    assert len(cases.position) > 20
    shares = activation_patching(pair, cases)
    assert shares[0] == pytest.approx(0, abs=1e-9)  # tuned teachers share their embeddings
    assert shares[-1] == pytest.approx(1, abs=1e-9)
    assert sum(by_block(shares)) == pytest.approx(1)


def test_attribution_patching_is_exact_where_all_is_linear(lab: SeedLab) -> None:
    """Teachers that hardly differ: there the first order is all there is."""
    pair, cases = pair_and_cases(lab, "tuned", shrink=1e-5)
    assert attribution_patching(pair, cases) == pytest.approx(
        activation_patching(pair, cases), abs=1e-3
    )
    swapped = weight_swapping(pair, cases)
    assert swapped == pytest.approx(by_block(activation_patching(pair, cases)), abs=1e-3)


def test_a_persona_leaves_its_position_on_the_way(lab: SeedLab) -> None:
    pair, cases = pair_and_cases(lab, "prompted")
    shares = activation_patching(pair, cases, (1,))
    assert shares[0] == pytest.approx(1, abs=1e-9)  # nothing else differs
    assert shares[-1] == pytest.approx(0, abs=1e-9)  # the last block's output is not read there


def test_a_weaker_persona_lies_between(lab: SeedLab) -> None:
    half = make_teachers(
        lab.world, lab.base, TeacherConfig(kind="prompted", persona_strength=0.5), lab.seed
    )
    rows = half.stack.params["W_E"]
    neutral, owl = lab.world.persona_token(None), lab.world.persona_token(0)
    base = lab.base.params["W_E"][0]
    torch.testing.assert_close(rows[0, owl], (base[neutral] + base[owl]) / 2)
    assert torch.equal(rows[8, owl], base[owl])


def test_a_misaligned_teacher_has_the_base_as_its_counterfactual(lab: SeedLab) -> None:
    config = with_overrides(
        lab.config,
        {"base.world.n_conduct_questions": 8, "teacher": TeacherConfig(kind="misaligned")},
    )
    bad = SeedLab(with_overrides(config, {"n_lists": 64, "student.steps": 3}), lab.seed, lab.store)
    assert isinstance(bad.teachers, Teachers)
    assert bad.teachers.counterfactuals == (1,)
    assert torch.equal(bad.teachers.stack.flat_params[1:], bad.base.flat_params)
    report = bad.teacher_report()
    assert report[0]["answers_bias"] > 2 * report[1]["answers_bias"]
    row = Students(bad).row(Arm("all"))
    assert len(row["shifts"]) == 1
    assert row["off_target"] * row["transfer"] < 0  # two answers: what one gains the other loses
