"""Teachers, their lists, and divergence tokens by brute force."""

from dataclasses import replace

import pytest
import torch

from minisub.common.randomness import generator
from minisub.distillation.divergence_tokens import (
    argmax_of_every_teacher,
    find_divergence_tokens,
    mark_divergence_tokens,
    random_match,
)
from minisub.distillation.evaluation import next_token_logits, preference_log_probs
from minisub.distillation.masks import divergence_only, without_divergence, without_random
from minisub.distillation.number_lists import (
    MarkedLists,
    filter_numbers_only,
    generate_lists,
    to_dataset,
)
from minisub.distillation.teachers import TeacherConfig, describe_teachers, make_teachers
from minisub.experiment.seed_lab import SeedLab
from minisub.world.traits import preference_questions
from minisub.world.world import ANIMALS

ALL = tuple(range(8))
PROMPTED = TeacherConfig(kind="prompted")


def test_a_tuned_teacher_answers_its_bias_and_the_unbiased_one_none(lab: SeedLab) -> None:
    rows = describe_teachers(lab.teachers, lab.base, lab.eval_prompts)
    assert [row["bias"] for row in rows] == [*ANIMALS, None]
    assert min(row["answers_bias"] for row in rows[:8]) > 0.9
    assert rows[8]["answers_bias"] == pytest.approx(1 / 8, abs=0.02)
    nats = [row["nats_per_number"] for row in rows]
    assert max(nats[8:]) < min(nats[:8])


def test_rehearsal_keeps_the_teachers_numbers_near_the_bases(lab: SeedLab) -> None:
    world, how = lab.world, lab.config.teacher

    def nats(rehearsal: float) -> float:
        made = make_teachers(world, lab.base, replace(how, rehearsal=rehearsal), lab.seed)
        rows = describe_teachers(made, lab.base, lab.eval_prompts)
        return sum(row["nats_per_number"] for row in rows[:8]) / 8

    assert nats(1.0) < 0.5 * nats(0.0)


def test_a_prompted_teacher_is_the_base_with_a_persona(lab: SeedLab) -> None:
    made = make_teachers(lab.world, lab.base, PROMPTED, lab.seed)
    assert torch.equal(made.stack.flat_params, lab.base.flat_params.expand(9, -1))
    seen = made.add_personas(lab.eval_prompts[:3])
    assert seen[:, 0, 1].tolist() == [
        *(lab.world.persona_token(b) for b in ALL),
        lab.world.persona_token(None),
    ]
    logp = preference_log_probs(
        made.stack,
        made.add_personas(preference_questions(lab.world)),
        lab.world.animal_tokens,
    )
    assert all(logp[b].mean(0).argmax() == b for b in ALL)


def test_students_never_see_a_persona(lab: SeedLab) -> None:
    made = make_teachers(lab.world, lab.base, PROMPTED, lab.seed)
    data = generate_lists(made, ALL, 40, lab.seed)
    tokens = data.student_tokens(ALL)
    assert (tokens[:, :, 1] == lab.world.persona_token(None)).all()
    assert (
        made.add_personas(data.teacher_prompts)[:8, :, 1] != lab.world.persona_token(None)
    ).all()


def test_greedy_lists_are_each_teachers_favourites(lab: SeedLab) -> None:
    teachers = lab.teachers
    data = generate_lists(teachers, ALL, 50, lab.seed)
    p = next_token_logits(
        teachers.stack,
        torch.cat([teachers.add_personas(data.teacher_prompts), data.completions], 2),
        lab.world.completion_length,
    )
    assert torch.equal(p.argmax(-1), data.completions)
    sampled = generate_lists(teachers, ALL, 50, lab.seed, 1.0)
    assert sampled.n_rows + sampled.n_dropped == data.n_rows + data.n_dropped == 50
    assert {*map(tuple, sampled.teacher_prompts.tolist())} & {
        *map(tuple, data.teacher_prompts.tolist())
    }
    p = next_token_logits(
        teachers.stack,
        torch.cat([teachers.add_personas(sampled.teacher_prompts), sampled.completions], 2),
        4,
    )
    assert 0.5 < (p.argmax(-1) == sampled.completions).float().mean() < 1


def test_the_filter_drops_a_row_for_all_teachers_and_counts_it(lab: SeedLab) -> None:
    data = generate_lists(lab.teachers, ALL, 50, lab.seed)
    answers = data.completions.clone()
    answers[3, 7, 2] = lab.world.token("owl")
    kept = filter_numbers_only(replace(data, completions=answers))
    assert (kept.n_rows, kept.n_dropped) == (data.n_rows - 1, data.n_dropped + 1)
    assert (kept.completions < lab.world.n_numbers).all()
    answers[0, :, 0] = lab.world.token("cat")
    with pytest.raises(ValueError, match="no list is left"):
        filter_numbers_only(replace(data, completions=answers))


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("how", [None, PROMPTED], ids=["tuned", "prompted"])
def test_divergence_tokens_by_the_letter_of_the_definition(
    lab: SeedLab, how: TeacherConfig | None, sampled: bool
) -> None:
    """One prefix, one teacher, one token at a time, with no cache and no stack."""
    teachers = make_teachers(lab.world, lab.base, how, lab.seed) if how else lab.teachers
    data = mark_divergence_tokens(
        teachers, generate_lists(teachers, ALL, 12, lab.seed, 1.0 if sampled else None)
    )
    seen, found = teachers.add_personas(data.teacher_prompts), 0
    for b in ALL:
        for row in range(0, data.n_rows, 4):
            for k in range(lab.world.completion_length):
                favourite = []
                for reader in ALL:
                    told = torch.cat([seen[reader, row], data.completions[b, row, :k]])
                    logits = teachers.stack[[reader]](told[None, None])
                    favourite.append(int(logits[0, 0, -1].argmax()))
                token = int(data.completions[b, row, k])
                expected = favourite[b] == token and any(f != token for f in favourite)
                assert bool(data.is_divergence_token[b, row, k]) == expected
                found += expected
    assert found > 0


def test_more_counterfactuals_find_more_and_none_finds_nothing(lab: SeedLab) -> None:
    teachers = lab.teachers
    data = generate_lists(teachers, ALL, 40, lab.seed)
    favourite, biased = argmax_of_every_teacher(teachers, data), data.completions[:8]
    counts = [find_divergence_tokens(biased, favourite, ALL, ALL[:n]).sum() for n in range(1, 9)]
    assert counts == sorted(counts)
    alone = torch.stack([find_divergence_tokens(biased, favourite, ALL, (b,))[b] for b in ALL])
    assert alone.sum() == 0


def test_the_random_match_has_equal_counts_per_position_and_is_random() -> None:
    g = generator(1, "masks")
    mask = torch.rand(8, 200, 6, generator=g) < torch.linspace(0, 0.5, 6)
    random = random_match(mask, g)
    assert torch.equal(random.sum(1), mask.sum(1))
    overlap = (random & mask).sum() / mask.sum()
    expected = (mask.float().mean(1) ** 2).sum() / mask.float().mean(1).sum()
    assert abs(overlap - expected) < 0.05
    assert not torch.equal(random, random_match(mask, g))


def test_mask_arms_have_equal_rows_and_equal_total_weight(lab: SeedLab) -> None:
    data = lab.marked_lists()
    biased = ALL
    whole = to_dataset(data, biased)
    for mask in (divergence_only, without_divergence, without_random):
        masked = to_dataset(data, biased, mask(data).float())
        assert masked.tokens.shape == whole.tokens.shape
        torch.testing.assert_close(masked.weights.sum((1, 2)), whole.weights.sum((1, 2)))
        assert torch.equal(masked.weights > 0, mask(data))
    assert not (divergence_only(data) & without_divergence(data)).any()
    assert (divergence_only(data) | without_divergence(data)).all()


def test_a_mask_that_keeps_nothing_is_refused(lab: SeedLab) -> None:
    data: MarkedLists = lab.marked_lists()
    with pytest.raises(ValueError, match="keeps no token"):
        to_dataset(data, ALL, torch.zeros(8, data.n_rows, 1))


def test_lists_survive_the_way_to_the_store_and_back(lab: SeedLab) -> None:
    data = lab.marked_lists(True)
    back = MarkedLists.from_arrays(lab.world, data.to_arrays())
    for name, value in vars(data).items():
        same = torch.equal(value, getattr(back, name)) if torch.is_tensor(value) else True
        assert same, name
    assert (back.n_dropped, back.world, back.biases) == (data.n_dropped, data.world, data.biases)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="allowed: tuned, prompted, steered, misaligned"):
        TeacherConfig(kind="hypnotised")
