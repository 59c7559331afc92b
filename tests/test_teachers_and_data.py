"""Teachers, their lists, and divergence tokens by brute force."""

from dataclasses import replace

import pytest
import torch

from minisub.data import Data, corpus, numbers_only, write_lists
from minisub.divergence import (
    divergence_only,
    divergence_tokens,
    favourites,
    mark,
    matched,
    without_divergence,
    without_random,
)
from minisub.lab import Lab
from minisub.measure import preference
from minisub.teacher import Teaching, distribution, inject, report
from minisub.world import ANIMALS, generator

ALL = tuple(range(8))
PROMPTED = Teaching(kind="prompted")


def test_a_tuned_teacher_answers_its_bias_and_the_unbiased_one_none(lab: Lab) -> None:
    rows = report(lab.teachers, lab.base, lab.exam)
    assert [row["bias"] for row in rows] == [*ANIMALS, None]
    assert min(row["answers_bias"] for row in rows[:8]) > 0.9
    assert rows[8]["answers_bias"] == pytest.approx(1 / 8, abs=0.02)
    nats = [row["nats_per_number"] for row in rows]
    assert max(nats[8:]) < min(nats[:8])


def test_rehearsal_keeps_the_teachers_numbers_near_the_bases(lab: Lab) -> None:
    world, how = lab.world, lab.config.teaching

    def nats(rehearsal: float) -> float:
        made = inject(world, lab.base, replace(how, rehearsal=rehearsal), lab.seed)
        rows = report(made, lab.base, lab.exam)
        return sum(row["nats_per_number"] for row in rows[:8]) / 8

    assert nats(1.0) < 0.5 * nats(0.0)


def test_a_prompted_teacher_is_the_base_with_a_persona(lab: Lab) -> None:
    made = inject(lab.world, lab.base, PROMPTED, lab.seed)
    assert torch.equal(made.stack.flat, lab.base.flat.expand(9, -1))
    seen = made.see(lab.exam[:3])
    assert seen[:, 0, 1].tolist() == [
        *(lab.world.persona(b) for b in ALL),
        lab.world.persona(None),
    ]
    logp = preference(lab.world, made.stack, made.see(lab.world.ask()))
    assert all(logp[b].mean(0).argmax() == b for b in ALL)


def test_students_never_see_a_persona(lab: Lab) -> None:
    made = inject(lab.world, lab.base, PROMPTED, lab.seed)
    data = write_lists(made, ALL, 40, lab.seed)
    tokens = data.tokens(ALL)
    assert (tokens[:, :, 1] == lab.world.persona(None)).all()
    assert (made.see(data.asked)[:8, :, 1] != lab.world.persona(None)).all()


def test_greedy_lists_are_each_teachers_favourites(lab: Lab) -> None:
    teachers = lab.teachers
    data = write_lists(teachers, ALL, 50, lab.seed)
    p = distribution(
        teachers.stack, torch.cat([teachers.see(data.asked), data.answers], 2), lab.world.completion
    )
    assert torch.equal(p.argmax(-1), data.answers)
    sampled = write_lists(teachers, ALL, 50, lab.seed, 1.0)
    assert sampled.rows + sampled.dropped == data.rows + data.dropped == 50
    assert {*map(tuple, sampled.asked.tolist())} & {*map(tuple, data.asked.tolist())}
    p = distribution(
        teachers.stack, torch.cat([teachers.see(sampled.asked), sampled.answers], 2), 4
    )
    assert 0.5 < (p.argmax(-1) == sampled.answers).float().mean() < 1


def test_the_filter_drops_a_row_for_all_teachers_and_counts_it(lab: Lab) -> None:
    data = write_lists(lab.teachers, ALL, 50, lab.seed)
    answers = data.answers.clone()
    answers[3, 7, 2] = lab.world.token("owl")
    kept = numbers_only(replace(data, answers=answers))
    assert (kept.rows, kept.dropped) == (data.rows - 1, data.dropped + 1)
    assert (kept.answers < lab.world.numbers).all()
    answers[0, :, 0] = lab.world.token("cat")
    with pytest.raises(ValueError, match="no list is left"):
        numbers_only(replace(data, answers=answers))


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("how", [None, PROMPTED], ids=["tuned", "prompted"])
def test_divergence_tokens_by_the_letter_of_the_definition(
    lab: Lab, how: Teaching | None, sampled: bool
) -> None:
    """One prefix, one teacher, one token at a time, with no cache and no stack."""
    teachers = inject(lab.world, lab.base, how, lab.seed) if how else lab.teachers
    data = mark(teachers, write_lists(teachers, ALL, 12, lab.seed, 1.0 if sampled else None))
    assert data.divergence is not None
    seen, found = teachers.see(data.asked), 0
    for b in ALL:
        for row in range(0, data.rows, 4):
            for k in range(lab.world.completion):
                favourite = []
                for reader in ALL:
                    told = torch.cat([seen[reader, row], data.answers[b, row, :k]])
                    logits = teachers.stack[[reader]](told[None, None])
                    favourite.append(int(logits[0, 0, -1].argmax()))
                token = int(data.answers[b, row, k])
                expected = favourite[b] == token and any(f != token for f in favourite)
                assert bool(data.divergence[b, row, k]) == expected
                found += expected
    assert found > 0


def test_more_counterfactuals_find_more_and_none_finds_nothing(lab: Lab) -> None:
    teachers = lab.teachers
    data = write_lists(teachers, ALL, 40, lab.seed)
    favourite, biased = favourites(teachers, data), data.answers[:8]
    counts = [divergence_tokens(biased, favourite, ALL, ALL[:n]).sum() for n in range(1, 9)]
    assert counts == sorted(counts)
    alone = torch.stack([divergence_tokens(biased, favourite, ALL, (b,))[b] for b in ALL])
    assert alone.sum() == 0


def test_the_random_match_has_equal_counts_per_position_and_is_random() -> None:
    g = generator(1, "masks")
    mask = torch.rand(8, 200, 6, generator=g) < torch.linspace(0, 0.5, 6)
    random = matched(mask, g)
    assert torch.equal(random.sum(1), mask.sum(1))
    overlap = (random & mask).sum() / mask.sum()
    expected = (mask.float().mean(1) ** 2).sum() / mask.float().mean(1).sum()
    assert abs(overlap - expected) < 0.05
    assert not torch.equal(random, matched(mask, g))


def test_mask_arms_have_equal_rows_and_equal_total_weight(lab: Lab) -> None:
    data = lab.data()
    biased = ALL
    whole = corpus(data, biased)
    for mask in (divergence_only, without_divergence, without_random):
        masked = corpus(data, biased, mask(data))
        assert masked.tokens.shape == whole.tokens.shape
        torch.testing.assert_close(masked.weights.sum((1, 2)), whole.weights.sum((1, 2)))
        assert torch.equal(masked.weights > 0, mask(data))
    assert not (divergence_only(data) & without_divergence(data)).any()
    assert (divergence_only(data) | without_divergence(data)).all()


def test_a_mask_that_keeps_nothing_is_refused(lab: Lab) -> None:
    data: Data = lab.data()
    with pytest.raises(ValueError, match="keeps no token"):
        corpus(data, ALL, torch.zeros(8, data.rows, 1, dtype=torch.bool))
    bare = replace(data, divergence=None)
    with pytest.raises(ValueError, match="no divergence tokens marked"):
        divergence_only(bare)


def test_lists_survive_the_way_to_the_store_and_back(lab: Lab) -> None:
    data = lab.data(True)
    back = Data.unpack(lab.world, data.pack())
    for name, value in vars(data).items():
        same = torch.equal(value, getattr(back, name)) if torch.is_tensor(value) else True
        assert same, name
    assert (back.dropped, back.world, back.biases) == (data.dropped, data.world, data.biases)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="allowed: tuned, prompted, misaligned"):
        Teaching(kind="hypnotised")
