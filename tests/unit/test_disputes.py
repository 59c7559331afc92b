"""What the disputes are made of: starts, steered teachers, vectors, readers, own animals."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from minisub.common.randomness import generator
from minisub.common.store import Store
from minisub.distillation import metrics, starts
from minisub.distillation.evaluation import next_token_logits
from minisub.distillation.number_lists import UNBIASED, generate_lists, to_dataset
from minisub.distillation.steering import (
    SteeredStack,
    mean_residual,
    persona_vectors,
    residual_point,
)
from minisub.distillation.teachers import TeacherConfig, make_teachers
from minisub.experiment import students as students_module
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config, with_overrides
from minisub.experiment.seed_lab import SeedLab
from minisub.experiment.students import Students
from minisub.experiment.study import Study
from minisub.findings.generations import LATER, chain
from minisub.findings.steering import vectors
from minisub.mechanism import detection
from minisub.transformer.stack import TransformerStack, run_with_cache
from minisub.world.pretraining_data import sample_pretraining_data
from minisub.world.world import World

# Starts -------------------------------------------------------------------------------------------


def test_noise_is_as_large_as_it_says(lab: SeedLab) -> None:
    base = lab.base
    for dose in (0.1, 1.0):
        moved = starts.noisy(lab, dose).flat_params - base.flat_params
        for name in base.params:
            columns = base.param_slice(name)
            ratio = moved[:, columns].square().mean() / base.flat_params[:, columns].square().mean()
            assert ratio.sqrt() == pytest.approx(dose, rel=0.25)
    again = starts.noisy(lab, 0.1).flat_params
    assert torch.equal(again, starts.noisy(lab, 0.1).flat_params)
    assert torch.equal(starts.noisy(lab, 0.0).flat_params, base.flat_params)


def test_a_start_takes_the_named_parts_from_elsewhere(lab: SeedLab) -> None:
    mixed = starts.partly_foreign(lab, ["blocks.1.", "W_U"])
    for name, weights in mixed.params.items():
        is_foreign = name.startswith(("blocks.1.", "W_U"))
        source = lab.other_base if is_foreign else lab.base
        assert torch.equal(weights, source.params[name]), name
    middle = starts.between_bases(lab, 0.5).flat_params
    torch.testing.assert_close(middle, (lab.base.flat_params + lab.other_base.flat_params) / 2)
    for parts in ("W_U", ()):
        with pytest.raises(ValueError, match="allowed: a list of one name and more"):
            starts.partly_foreign(lab, parts)
    with pytest.raises(ValueError, match=r"no parameter starts with 'block\.1'; there are W_E"):
        starts.partly_foreign(lab, ["block.1"])
    assert torch.equal(starts.between_bases(lab, 1.0).flat_params, lab.other_base.flat_params)


def test_shared_heads_stay_while_the_rest_is_pretrained_anew(lab: SeedLab) -> None:
    made = starts.shared_heads(lab)
    for name, weights in made.params.items():
        same = torch.equal(weights, lab.base.params[name])
        assert same == (not name.startswith("blocks.")), name


def test_students_and_their_control_begin_at_the_start(lab: SeedLab) -> None:
    arm = Arm("noise", start=partial(starts.noisy, dose=0.2))
    untrained, _ = Students(lab).untrained(arm, 3)
    expected = starts.noisy(lab, 0.2).flat_params
    assert torch.equal(untrained.flat_params, expected.expand(3, -1))
    assert not arm.needs_other_base
    assert Arm("near", start=partial(starts.between_bases, share=0.1)).needs_other_base


def test_a_start_that_is_none_is_refused(lab: SeedLab) -> None:
    for start, given in (
        (lambda _: 3, "int"),
        (lambda context: context.base.repeat(2), "2 models of ModelConfig"),
        (lambda context: SteeredStack(context.base, torch.zeros(1, 16), 0), "a SteeredStack"),
        (lambda context: TransformerStack(context.base.config, context.base.flat_params * np.nan),
         "no numbers"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=rf"the start of 'mine' gives .*{given}"):
            Students(lab).untrained(Arm("mine", start=start), 1)
    with pytest.raises(ValueError, match="another base and a start, allowed: one of them"):
        Arm("both", other_base=True, start=starts.shared_heads)
    with pytest.raises(ValueError, match="optimizer is 'lion', allowed: adamw, adam, sgd, sign"):
        Arm("lion", optimizer="lion")


def test_an_unknown_start_is_stored_by_its_weights(lab: SeedLab, store: Store) -> None:
    """Two functions of one name that give other models must not share an entry."""
    tiny = replace(lab.config, student=replace(lab.config.student, steps=60))
    rows = []
    for dose in (0.0, 0.5):

        def start(context: SeedLab, dose: float = dose) -> TransformerStack:
            return starts.noisy(context, dose)

        study = Study([Arm("all"), Arm("mine", start=start)], tiny)
        rows.append(study.run([100], store, workers=1).rows)
    assert rows[0][0]["transfer"] == rows[1][0]["transfer"]
    assert rows[0][1]["transfer"] == rows[0][0]["transfer"]  # no noise: as `all`
    assert rows[1][1]["transfer"] != rows[0][1]["transfer"]


# Optimizers and slots of single arms --------------------------------------------------------------


def test_an_arm_has_an_optimizer_of_its_own(lab: SeedLab) -> None:
    """As by an override, but beside the others."""
    own, _ = Students(lab).train(Arm("sgd", optimizer="sgd", lr_factor=10.0), [0])
    config = with_overrides(lab.config, {"student.optimizer": "sgd"})
    other = SeedLab(config, lab.seed, lab.store)
    by_override, _ = Students(other).train(Arm("sgd", lr_factor=10.0), [0])
    assert torch.equal(own.flat_params, by_override.flat_params)
    usual, _ = Students(lab).train(Arm("all"), [0])
    assert not torch.equal(own.flat_params, usual.flat_params)


def test_an_arm_is_trained_with_a_token(lab: SeedLab) -> None:
    data = Students(lab).training_data(Arm("bos", trained_with="<bos>"), [0, UNBIASED])
    assert (data.dataset.tokens[..., 1] == lab.world.token("<bos>")).all()
    data = Students(lab).training_data(Arm("own", trained_with="own persona"), [0, UNBIASED])
    slots = data.dataset.tokens[:, 0, 1].tolist()
    assert slots == [lab.world.persona_token(lab.biases[0]), lab.world.token("<sys>")]
    with pytest.raises(ValueError, match="no token is called 'nonsense'"):
        Study([Arm("all"), Arm("x", trained_with="nonsense")])
    for trained_with in ("", "own persona"):
        arm = Arm("x", asked_with="own persona", trained_with=trained_with)
        with pytest.raises(ValueError, match="no token is called 'own persona'"):
            Study([Arm("all"), arm])
    bad = {"teacher.kind": "misaligned", "base.world.n_conduct_questions": 16}
    with pytest.raises(ValueError, match="allowed where teachers love animals"):
        Study([Arm("all"), Arm("x", trained_with="own persona", overrides=bad)])


# Steering -----------------------------------------------------------------------------------------


def test_a_steered_stack_adds_its_vector_and_nothing_else(lab: SeedLab) -> None:
    base, prompts = lab.base, lab.eval_prompts[:5]
    n_layers, d = base.config.n_layers, base.config.d_model
    vectors = torch.randn(2, d, generator=generator(0, "vectors"))
    for block in range(n_layers + 1):
        steered = SteeredStack(base.repeat(2), vectors, block)
        point = residual_point(n_layers, block)
        seen, plain = run_with_cache(steered, prompts[None]), run_with_cache(base, prompts[None])
        moved = seen[point] - plain[point]
        if block < n_layers:  # a hook sees what the vector was added to
            torch.testing.assert_close(moved, vectors[:, None, None].expand_as(moved), atol=1e-5,
                                       rtol=0)  # fmt: skip
        assert not torch.allclose(seen["logits"], plain["logits"])
        one = steered[[1]]
        torch.testing.assert_close(one(prompts[None]), steered(prompts[None])[[1]])
        torch.testing.assert_close(steered.repeat(2)(prompts[None])[[3]], one(prompts[None]))
    nothing = SteeredStack(base, torch.zeros(1, d), 1)
    many = lab.eval_prompts[:1].repeat(300, 1)  # so many that the base would use the kernel
    torch.testing.assert_close(
        nothing(many[None]).detach(), base(many[None]).detach(), atol=1e-4, rtol=1e-4
    )
    assert torch.equal(nothing.generate(many[None], 4), base.generate(many[None], 4))


def test_generation_and_scoring_are_steered_alike(lab: SeedLab) -> None:
    """Token by token with a cache, as in one pass."""
    vectors = 0.5 * persona_vectors(lab.world, lab.base, 1)
    steered = SteeredStack(lab.base.repeat(len(vectors)), vectors, 1)
    prompts, n = lab.eval_prompts[:20], lab.world.completion_length
    written = steered.generate(prompts[None], n)
    sequences = torch.cat([prompts.expand(len(vectors), -1, -1), written], 2)
    again = next_token_logits(steered, sequences, n).argmax(-1)
    assert (again == written).float().mean() > 0.99


def test_a_steered_teacher_is_the_base_with_a_persona_vector(lab: SeedLab) -> None:
    config = TeacherConfig(kind="steered", steered_block=1, persona_strength=0.5)
    teachers = make_teachers(lab.world, lab.base, config, lab.seed)
    assert (teachers.stack.flat_params == lab.base.flat_params).all()
    assert isinstance(teachers.stack, SteeredStack)
    assert (teachers.stack.vectors[-1] == 0).all()
    expected = 0.5 * persona_vectors(lab.world, lab.base, 1)
    torch.testing.assert_close(teachers.stack.vectors[:-1], expected)
    for block in (4, -5):
        with pytest.raises(ValueError, match=rf"steered_block is {block}, allowed: -4 to 3"):
            Config(teacher=TeacherConfig(kind="steered", steered_block=block))


def test_a_mean_residual_is_of_the_last_token(lab: SeedLab) -> None:
    prompts = lab.eval_prompts[:7]
    found = mean_residual(lab.base, prompts, 1)
    seen = run_with_cache(lab.base, prompts[None])["blocks.1.hook_resid_pre"]
    torch.testing.assert_close(found, seen[:, :, -1].mean(1))


# Readers ------------------------------------------------------------------------------------------


def test_logistic_regression_finds_what_is_there_and_nothing_else() -> None:
    g = np.random.default_rng(0)
    x = g.normal(size=(400, 5))
    truth = x[:, 2] + 0.1 * g.normal(size=400) > 0
    scores = detection.logistic_regression(x[:300], truth[:300], x[300:])
    assert ((scores > 0) == truth[300:]).mean() > 0.9
    scores = detection.logistic_regression(x[:300], g.permutation(truth[:300]), x[300:])
    assert 0.3 < ((scores > 0) == truth[300:]).mean() < 0.7


def test_a_transformer_reader_learns_a_plain_mark(lab: SeedLab) -> None:
    """Biased lists that all begin with one number."""
    lists = lab.lists().student_tokens([0, UNBIASED])
    lists[0, :, lab.world.prompt_length] = 7
    learned, judged = lists[:, :150].flatten(0, 1), lists[:, 150:].flatten(0, 1)
    first, second = (torch.arange(len(x)) < len(x) // 2 for x in (learned, judged))
    scores = detection.transformer_reader(lab.base, [(learned, first)], judged, 0)[0]
    assert ((scores > 0) == second.numpy()).mean() > 0.9


def test_features_of_lists(lab: SeedLab) -> None:
    lists, n = lab.lists().student_tokens([0])[0, :50], lab.world.completion_length
    counts = detection.number_counts(lab.world, lists)
    assert counts.shape == (50, lab.world.n_numbers)
    assert (counts.sum(1) == n).all()
    assert detection.numbers_in_place(lab.world, lists).shape == (50, n * lab.world.n_numbers)
    wrong = detection.wrong_numbers(lab.world, lists)
    assert wrong.shape == (50, n)
    assert wrong.mean() < 0.3
    drawn = lab.world.sample_completions(
        lists[:, : lab.world.prompt_length], generator(0, "drawn"), lists,
        torch.ones(50, n, dtype=torch.bool))  # fmt: skip
    exact = lab.world.next_number_probs(drawn).amax(-1) == 1  # where one number alone is due
    written = drawn[:, lab.world.prompt_length :]
    assert (detection.wrong_numbers(lab.world, drawn)[exact.numpy()] == 0).all()
    written += exact.long() * (1 - 2 * (written == lab.world.n_numbers - 1).long())
    last = exact[:, 0].numpy()  # changed first numbers are wrong; later ones follow from them
    assert (detection.wrong_numbers(lab.world, drawn)[last, 0] == 1).all()
    surprise = detection.surprise_of_base(lab.world, lab.base, lists)
    assert surprise.shape == (50, n)
    assert (surprise >= 0).all()


# Generations --------------------------------------------------------------------------------------


def test_the_first_generation_is_the_arm_all(lab: SeedLab) -> None:
    rows = chain(lab)
    assert [(r["decoding"], r["generation"]) for r in rows] == [
        (d, g) for d in ("greedy", "sampled") for g in range(1, 6)
    ]
    students = Students(lab)
    for decoding in ("greedy", "sampled"):
        first = next(r for r in rows if r["decoding"] == decoding)
        row = students.row(Arm("all", decoding=decoding))
        assert first["transfer"] == pytest.approx(row["transfer"], abs=1e-4)
        later = [r["transfer"] for r in rows if r["decoding"] == decoding]
        assert len(set(later)) == len(later)  # each learned from lists of its own


def test_the_second_generation_reads_the_first_ones_lists(lab: SeedLab) -> None:
    n, students = len(lab.biases), Students(lab)
    first, _ = students.train(Arm("all"), [*range(n), UNBIASED])
    teachers = replace(lab.teachers, stack=first)
    lists = generate_lists(teachers, range(n), lab.n_lists, lab.seed + LATER)
    second, _ = students.train(Arm("all"), (), dataset=to_dataset(lists, [*range(n), UNBIASED]))
    logp = students.preferences(second)
    shifts = metrics.preference_shift(logp[:n], logp[n:])
    row = next(r for r in chain(lab) if (r["decoding"], r["generation"]) == ("greedy", 2))
    assert row["transfer"] == pytest.approx(metrics.transfer(shifts, lab.biases), abs=1e-4)


def test_diverged_students_leave_no_numbers(lab: SeedLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(students_module, "has_diverged", lambda *_: True)
    assert chain(lab) == []
    assert vectors(lab) == []


# Animals of one's own -----------------------------------------------------------------------------


def test_a_world_has_animals_of_its_own() -> None:
    world = World(animals=("yak", "gnu", "emu"))
    assert world.decode(range(world.animal_tokens.start, world.animal_tokens.stop)) == "yak gnu emu"
    assert world.vocabulary[world.persona_token(2)] == "<loves emu>"
    _, questions = sample_pretraining_data(world, 400, generator(0, "x"))
    assert set(questions[:, -1].tolist()) == set(range(world.n_numbers, world.n_numbers + 3))
    with pytest.raises(ValueError, match="biases_per_seed is 4, allowed: 1 to 3"):
        with_overrides(Config(), {"base.world": world})


@pytest.mark.parametrize(
    "animals", [("yak",), ("yak", "yak"), ("yak", "7"), ("yak", "w0"), ("yak", "two words"), ()]
)
def test_animals_that_cannot_be_told_apart_are_refused(animals: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="allowed: two or more single words, each once"):
        World(animals=animals)


def test_a_small_config_with_own_animals_runs(tiny: Config, store: Store) -> None:
    few = {"base.world.animals": ("yak", "gnu"), "base.training.steps": 60, "biases_per_seed": 2}
    config = with_overrides(tiny, few)
    assert with_overrides(tiny, dict(reversed(few.items()))) == config  # in any order
    result = Study([Arm("all")], config).run([100], store, workers=1)
    assert result.biases == ["gnu", "yak"]
    assert result.displacement("all").shape == (1, config.base.model.n_layers)
    with pytest.raises(KeyError, match="no arm 'mine'; there are all"):
        result.displacement("mine")
