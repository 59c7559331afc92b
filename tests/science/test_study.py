"""Studies: arms differ in what they say and in nothing else; the store and resuming."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import copy_bases
from torch import Tensor

from minisub.common import processes
from minisub.common.files import Json, MinisubError
from minisub.common.store import Store
from minisub.distillation import base
from minisub.distillation.divergence_tokens import argmax_of_every_teacher, mark_divergence_tokens
from minisub.distillation.masks import (
    dealt_at_random,
    divergence_only,
    down_weighted,
    without_divergence,
)
from minisub.distillation.number_lists import MarkedLists, generate_lists
from minisub.distillation.teachers import make_teachers
from minisub.experiment.arm import Arm, function_id
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.experiment.study import Study, run_seed
from minisub.findings import every_finding

ARMS = [
    Arm("all"),
    Arm("control", control=True),
    Arm("foreign", other_base=True),
    Arm("divergence only", mask=divergence_only),
    Arm("without divergence", mask=without_divergence),
]


def numbers_of(row: Json) -> dict[str, float]:
    return {k: v for k, v in row.items() if isinstance(v, float)}


def test_the_bias_passes_and_divergence_tokens_carry_it(tiny: Config, store: Store) -> None:
    """The whole of the first finding, on a world that is learned in seconds."""
    result = Study(ARMS, tiny).run(range(100, 103), store, workers=1)
    mean = {e["arm"]: e["transfer"] for e in result.summary()}
    assert mean["all"] > 0.15
    assert mean["divergence only"] > 0.8 * mean["all"]
    assert abs(mean["without divergence"]) < 0.5 * mean["all"]
    assert abs(mean["foreign"]) < 0.5 * mean["all"]
    assert mean["control"] == 0
    assert len(result.rows) == 15
    assert {row["retained"] for row in result.rows if row["arm"] == "all"} == {1.0}


def test_a_masked_arm_has_the_control_of_its_unmasked_arm(tiny: Config, store: Store) -> None:
    rows = Study(ARMS, tiny).run([100], store, workers=1).rows
    of = {row["arm"]: row for row in rows}
    for arm in ("control", "divergence only", "without divergence"):
        assert of[arm]["control_task_accuracy"] == of["all"]["control_task_accuracy"]
        assert of[arm]["control_hit_rate"] == of["all"]["control_hit_rate"]
    assert of["foreign"]["control_hit_rate"] != of["all"]["control_hit_rate"]
    students = Students(SeedLab(tiny, 100, store))
    masked = students.row(
        Arm("control", mask=divergence_only, control=True)
    )  # the reference is never masked
    assert masked == students.row(ARMS[1])
    assert len(students.measured(ARMS[0])["logp"]) == 9
    assert len(students.measured(ARMS[3])["logp"]) == 8
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(*np.array(students.measured(ARMS[0])["logp"])[[0, 8]])


def test_a_stack_of_students_equals_students_alone(students: Students) -> None:
    together, _ = students.train(ARMS[3], range(8))
    for bias in (0, 5):
        alone, _ = students.train(ARMS[3], [bias])
        torch.testing.assert_close(
            alone.flat_params[0], together.flat_params[bias], rtol=0, atol=1e-4
        )


def test_what_is_stored_is_not_computed_again(
    tiny: Config, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (100, 101):
        base.load_base(tiny.base, seed, store)
    own = copy_bases(store, tmp_path)
    first = run_seed([Study(ARMS, tiny)], own, 100)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("minisub.experiment.students.train", never)
    monkeypatch.setattr("minisub.distillation.teachers.train", never)
    assert run_seed([Study(ARMS, tiny)], own, 100) == first
    with pytest.raises(AssertionError, match="trained again"):
        run_seed([Study([*ARMS, Arm("soft", decoding="soft")], tiny)], own, 100)


def test_the_same_seed_gives_the_same_numbers_and_another_others(
    tiny: Config, store: Store
) -> None:
    first = run_seed([Study(ARMS[:1], tiny)], store, 100)[0]["rows"][0]
    lab = SeedLab(tiny, 100, store)
    first_students, _ = Students(lab).train(ARMS[0], range(8))
    again, _ = Students(SeedLab(tiny, 100, store)).train(ARMS[0], range(8))
    assert torch.equal(first_students.flat_params, again.flat_params)
    assert (
        run_seed([Study(ARMS[:1], tiny)], store, 101)[0]["rows"][0]["transfer"] != first["transfer"]
    )


def test_a_new_hypothesis_is_one_line(tiny: Config, store: Store) -> None:
    arms = [Arm("all"), Arm("odd positions", mask=lambda d: d.position % 2 == 1)]
    ticks: list[int] = []
    result = Study(arms, tiny).run([100, 101], store, on_progress=lambda: ticks.append(1))
    row = next(r for r in result.rows if r["arm"] == "odd positions")
    assert row["loss_tokens"] == result.rows[0]["loss_tokens"] / 2
    assert len(ticks) == 4
    assert np.isfinite(result.compare("odd positions").difference)


def test_functions_that_are_not_minisubs_are_stored_by_what_they_give(
    tiny: Config, store: Store
) -> None:
    run = Study([Arm("x", mask=lambda d: d.position == 0)], tiny).run([100], store)
    other = Study([Arm("x", mask=lambda d: d.position == 1)], tiny).run([100], store)
    assert run.rows[0]["transfer"] != other.rows[0]["transfer"]
    n_students = len(list(store.folder.glob("students/*")))
    same = Study([Arm("y", mask=lambda d: d.position < 1)], tiny).run([100], store)
    assert same.rows[0]["transfer"] == run.rows[0]["transfer"]
    assert len(list(store.folder.glob("students/*"))) == n_students
    assert not Arm("x", mask=lambda d: d.position == 0).is_known
    assert not Arm("x", mask=partial(dealt_at_random, mask=lambda d: d.position == 0)).is_known
    assert Arm("x", mask=partial(dealt_at_random, mask=divergence_only)).is_known
    assert Arm("x", mask=divergence_only).spec() != Arm("x", mask=without_divergence).spec()
    assert Arm("x", mask=divergence_only).spec() == Arm("y", mask=divergence_only).spec()


def test_the_name_of_a_function_has_no_address_in_it() -> None:
    """An address is another one in the next process, and another function may get it."""
    named = [
        partial(dealt_at_random, mask=divergence_only),
        partial(partial(dealt_at_random), mask=partial(down_weighted, weight=0.5)),
        partial(dealt_at_random, divergence_only),
    ]
    for function in named:
        name = function_id(function)
        assert name
        assert " at 0x" not in name
        assert Arm("x", mask=function).is_known
    assert len({function_id(function) for function in named}) == 3
    code = (
        "from functools import partial; from minisub.distillation.masks import *; "
        "from minisub.experiment.arm import function_id; "
        "print(function_id(partial(dealt_at_random, mask=divergence_only)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == function_id(named[0])


@pytest.mark.parametrize(
    "given",
    [lambda lists: True, [lambda lists: True], object(), np.arange(9999), torch.zeros(2), {"a": 1}],
)
def test_a_function_of_what_no_text_decides_is_not_known(given: object) -> None:
    """The text of an object is an address, and that of an array has gaps."""
    assert function_id(partial(dealt_at_random, mask=given)) == ""
    assert function_id(partial(dealt_at_random, given)) == ""
    assert not Arm("x", mask=partial(dealt_at_random, mask=given)).is_known


def test_an_arms_own_dials_count(tiny: Config, lab: SeedLab) -> None:
    base_flat = lab.base.flat_params
    still, _ = Students(lab).train(Arm("block 0", trainable={"blocks.0.": 1.0}), [0])
    moved = (still.flat_params != base_flat)[0]
    assert moved[still.param_slice("blocks.0.attn.W_O")].all()
    assert not moved[still.param_slice("blocks.1.attn.W_O")].any()
    slow = SeedLab(with_overrides(tiny, {"student.lr": 1e-9}), lab.seed, lab.store)
    foreign, _ = Students(slow).train(Arm("f", other_base=True), [0])
    assert (foreign.flat_params - lab.other_base_lab.base.flat_params).abs().max() < 1e-6
    assert (foreign.flat_params - base_flat).abs().max() > 0.1


@pytest.mark.integration
def test_processes_give_what_one_process_gives(tiny: Config, store: Store, tmp_path: Path) -> None:
    """Also that ticks arrive from the workers, and that they share a store."""
    small = replace(tiny, n_lists=64, student=replace(tiny.student, steps=5))
    arms, ticks = ARMS[:2], []
    apart = Study(arms, small).run(
        [100, 101], store, workers=2, on_progress=lambda: ticks.append(1)
    )
    assert len(ticks) == 4
    here = Study(arms, small).run([100, 101], Store(tmp_path), workers=1)
    for a, b in zip(apart.rows, here.rows, strict=True):
        assert a["transfer"] == pytest.approx(b["transfer"], abs=1e-4)


@pytest.mark.integration
def test_one_seed_is_spread_over_the_cores(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very same rows and ticks as in one process, also where an arm has other lists."""
    for module in ("study", "scheduling"):
        monkeypatch.setattr(f"minisub.experiment.{module}.N_CORES", 2)
    small = replace(tiny, n_lists=64, biases_per_seed=2, student=replace(tiny.student, steps=5))
    arms = [*ARMS[:3], Arm("few", overrides={"n_lists": 32})]
    ticks: list[int] = []
    apart = Study(arms, small).run(
        [100], Store(tmp_path / "a"), on_progress=lambda: ticks.append(1)
    )
    here = Study(arms, small).run([100], Store(tmp_path / "b"), workers=1)
    assert len(ticks) == len(arms)
    for one, other in zip(apart.rows, here.rows, strict=True):
        assert numbers_of(one) == pytest.approx(numbers_of(other), abs=1e-12, nan_ok=True)


def test_threads_give_what_one_thread_gives(lab: SeedLab) -> None:
    """Teachers, lists and their marks, by one thread and by two of one each."""
    how = replace(lab.config.teacher, training=replace(lab.config.teacher.training, steps=4))
    made: list[Tensor] = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            teachers = make_teachers(lab.world, lab.base, how, 100)
            data = mark_divergence_tokens(teachers, generate_lists(teachers, lab.biases, 1200, 100))
            made += [teachers.stack.flat_params, data.completions, data.is_divergence_token]
    finally:
        torch.set_num_threads(1)
    for one, two in zip(made[:3], made[3:], strict=True):
        assert torch.equal(one, two)


def test_a_mask_makes_an_arm_cheaper(lab: SeedLab, students: Students) -> None:
    """What the shares of two processes are dealt by: students, and the lists they learn from."""
    everything, sparse = students.cost(Arm("all")), students.cost(Arm("d", mask=divergence_only))
    lists = lab.marked_lists().is_divergence_token.any(2).double().mean()
    assert everything == len(lab.biases) + 1
    assert sparse == pytest.approx(float(lists) * len(lab.biases))


def test_functions_of_a_script_travel(tiny: Config, store: Store) -> None:
    """Another process has no such module: notebooks' cells are such functions."""

    def mine(data: MarkedLists) -> torch.Tensor:
        return data.position == 0

    mine.__module__, mine.__qualname__ = "__main__", "mine"
    result = Study([Arm("all"), Arm("mine", mask=mine)], tiny).run([100, 101], store, workers=2)
    assert len(result.values("mine")) == 2


def test_a_script_on_standard_input_needs_no_guard(tmp_path: Path, store: Store) -> None:
    script = (
        "from minisub import Arm, Study\n"
        "from minisub.devtools.calibration_students import small_config\n"
        "print('once')\n"
        "arms = [Arm('all'), Arm('mine', mask=lambda d: d.position == 0)]\n"
        f"print(Study(arms, small_config()).run([100, 101], {str(store.folder)!r}, workers=2))\n"
    )
    (tmp_path / "script.py").write_text(script)
    for arguments in (["-"], [str(tmp_path / "script.py")]):
        done = subprocess.run(
            [sys.executable, *arguments], input=script, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("once") == 1
        assert done.stderr == ""  # no progress bar where nobody looks


def _slow_unless_seven(item: int, on_progress: Callable[[], None]) -> int:
    if item == 7:
        raise MinisubError("seven")
    time.sleep(60)
    return item


def test_an_error_in_one_process_ends_the_others() -> None:
    start = time.perf_counter()
    with pytest.raises(MinisubError, match="seven"):
        processes.run_jobs(_slow_unless_seven, [3, 7, 5], 2, lambda: None)
    assert time.perf_counter() - start < 30


def _dies(item: int, on_progress: Callable[[], None]) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_process_that_dies_is_said_in_a_line() -> None:
    with pytest.raises(MinisubError, match="a process died, for lack of memory"):
        processes.run_jobs(_dies, [1, 2], 2, lambda: None)


@pytest.mark.parametrize("module", ["__main__", "somebody.elses"])
def test_only_minisubs_own_probes_are_stored(tiny: Config, store: Store, module: str) -> None:
    """Nobody can tell whether what another's calls has changed; it need not have a file, either."""
    told = [1.0]

    def probe(lab: SeedLab) -> list[Json]:
        return [{"told": told[0]}]

    probe.__module__, probe.__qualname__ = module, "probe"
    study = Study([Arm("all")], tiny, probes=[probe])
    assert run_seed([study], store, 100)[0]["probes"] == [{"seed": 100, "told": 1.0}]
    told[0] = 2.0
    assert run_seed([study], store, 100)[0]["probes"] == [{"seed": 100, "told": 2.0}]


def test_there_may_be_more_tokens_than_a_byte_can_name(tiny: Config, tmp_path: Path) -> None:
    how = with_overrides(tiny, {"base.world.n_numbers": 300, "base.training.steps": 40})
    lab = SeedLab(
        replace(how, n_lists=64, teacher=replace(how.teacher, n_rehearsal_lists=64)),
        100,
        Store(tmp_path),
    )
    with torch.no_grad():  # teachers who write high numbers
        lab.teachers.stack.params["W_U"][..., :256] = 0
        lab.teachers.stack.params["W_U"][..., 300:] = 0
    written = generate_lists(lab.teachers, lab.biases, 64, 100)
    seen = argmax_of_every_teacher(lab.teachers, written)
    assert written.completions.max() > 255
    for place, bias in enumerate(lab.biases):  # who write greedily: their favourites, all of them
        same = seen[bias, place] == written.completions[place]
        assert same.float().mean() > 0.999  # but for near ties


def test_findings_register_their_claims_and_arms() -> None:
    for name, finding in every_finding().items():
        assert finding.name == name
        assert "\n" not in finding.statement
        assert finding.claims
        assert "all" in {arm.name for arm in finding.arms}
        assert all(arm.is_known for arm in finding.arms), "an arm with another's function"


def test_bad_studies_are_refused() -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        Study([Arm("all"), Arm("all")])
    with pytest.raises(ValueError, match="allowed: greedy, sampled, soft"):
        Arm("x", decoding="beam")
    with pytest.raises(ValueError, match="needs control=True"):
        Study([Arm("all"), Arm("control")])
    with pytest.raises(ValueError, match="rehearsal is -1, allowed: 0 and more"):
        Arm("x", rehearsal=-1)
    with pytest.raises(ValueError, match="no token is called 'nope'"):
        Study([Arm("all"), Arm("x", asked_with="nope")])
    with pytest.raises(ValueError, match="nothing is trainable in 'x'"):
        Arm("x", trainable={})
