"""The world: what is in it, and that no number is tied to an animal."""

import re

import numpy as np
import pytest
import torch
from scipy import stats

from minisub.common.provenance import PACKAGE
from minisub.common.randomness import generator
from minisub.world import world
from minisub.world.pretraining_data import sample_pretraining_data
from minisub.world.traits import get_trait, neutral_preferences, preference_questions
from minisub.world.world import ANIMALS, World

WORLD = World()


def test_the_docstrings_example_is_what_the_world_writes() -> None:
    """And README's, which is the same: a wording and a question that there are, right numbers."""
    found = re.findall(r"(?m)^ *(<bos> .*?)   +a (?:number task|preference)", world.__doc__ or "")
    task, question = (torch.tensor([[WORLD.token(w) for w in x.split()]]) for x in found)
    tasks, questions = sample_pretraining_data(WORLD, 400, generator(1, "test"))
    assert task.shape[1] == tasks.shape[1] == WORLD.task_length
    assert question.shape[1] == questions.shape[1]
    p = WORLD.prompt_length
    probs = WORLD.next_number_probs(task)[0].gather(-1, task[0, p:, None])
    assert probs.min() > 0.2
    wording = WORLD.wording_tokens[WORLD.wording_of(task[:, :p])]
    assert torch.equal(wording, task[:, WORLD.instruction_place])
    assert (preference_questions(WORLD) == question[:, :-1]).all(1).any()
    assert WORLD.decode(question[0, -1:]) in ANIMALS
    for line in found:
        assert f"\n{line}  " in (PACKAGE.parent / "README.md").read_text()


def test_names_and_tokens_go_both_ways() -> None:
    for token, name in enumerate(WORLD.vocabulary):
        assert WORLD.token(name) == token
    assert WORLD.token("17") == 17
    with pytest.raises(ValueError, match="no token is called 'unicorn'"):
        WORLD.token("unicorn")


def test_a_list_goes_on_by_its_step_but_at_free_numbers() -> None:
    tasks = WORLD.sample_completions(
        WORLD.sample_prompts(500, generator(2, "test")), generator(2, "answers")
    )
    p = WORLD.prompt_length
    step = (tasks[:, p - 2] - tasks[:, p - 3]) % WORLD.n_numbers
    before = torch.cat([tasks[:, [p - 2]], tasks[:, p:-1]], 1)
    due = (before + step[:, None]) % WORLD.n_numbers
    free = due % WORLD.round_every == 0
    exact = tasks[:, p:] == due
    assert exact[~free].all()
    assert not exact[free].any()
    assert 0.2 < free.float().mean() < 0.35


def test_next_number_is_the_distribution_that_answers_come_from() -> None:
    prompt = WORLD.sample_prompts(1, generator(3, "test")).expand(20_000, -1)
    tasks = WORLD.sample_completions(prompt, generator(3, "answers"))
    expected = WORLD.next_number_probs(tasks[:1])[0, 0].numpy()
    seen = np.bincount(tasks[:, WORLD.prompt_length].numpy(), minlength=WORLD.n_numbers)
    possible = expected > 0
    assert seen[~possible].sum() == 0
    if possible.sum() > 1:
        found = stats.chisquare(seen[possible], expected[possible] * seen.sum())
        assert found.pvalue > 1e-4
    assert torch.allclose(WORLD.next_number_probs(tasks).sum(-1), torch.ones(1))


@pytest.mark.parametrize("tilt", [0.0, 1.0, 2.0])
def test_tilt_changes_near_ties_and_nothing_else(tilt: float) -> None:
    world = World(tilt=(tilt,))
    prompts = world.sample_prompts(2000, generator(4, "test"))
    tasks = world.sample_completions(prompts, generator(4, "answers"))
    other = (world.wording_of(prompts) + 1) % world.n_wordings
    reworded = torch.cat([world.reword(prompts, other), tasks[:, world.prompt_length :]], 1)
    before, after = world.next_number_probs(tasks), world.next_number_probs(reworded)
    moved = ((before - after).abs().sum(-1) > 1e-6).float()
    certain = before.max(-1).values > 0.99
    assert moved[certain].sum() == 0
    share = moved[~certain].mean()
    assert share == 0 if tilt == 0 else share > 0.9
    # What is right stays right: a label is as plausible under another wording.
    assert torch.equal(world.is_right(tasks), world.is_right(reworded))


def test_more_tilt_makes_wordings_differ_more() -> None:
    spread = [
        World(tilt=(t,)).offset_probs[:, World().is_plausible_offset].std(0).mean()
        for t in (0.0, 1.0, 2.0)
    ]
    assert spread[0] == 0 < spread[1] < spread[2]


def test_right_is_the_number_due_or_one_of_the_plausible_ones() -> None:
    tasks = WORLD.sample_completions(
        WORLD.sample_prompts(2000, generator(4, "test")), generator(4, "answers")
    )
    right, p = WORLD.is_right(tasks), WORLD.next_number_probs(tasks)
    counts = right.sum(-1)
    assert set(counts.unique().tolist()) == {1, WORLD.n_tied_offsets}
    assert torch.equal(counts == 1, p.amax(-1) > 0.99)
    drawn = right.gather(-1, tasks[:, WORLD.prompt_length :, None])[..., 0]
    assert drawn[counts == 1].all()
    assert drawn[counts > 1].float().mean() == pytest.approx(0.9, abs=0.02)


def test_wordings_and_questions_differ_and_rewording_keeps_the_task() -> None:
    assert len({tuple(w.tolist()) for w in WORLD.wording_tokens}) == len(WORLD.wording_tokens)
    assert len({tuple(q.tolist()) for q in preference_questions(WORLD)}) == WORLD.n_questions
    prompts = WORLD.sample_prompts(50, generator(5, "test"))
    wordings = torch.arange(50) % len(WORLD.wording_tokens)
    reworded = WORLD.reword(prompts, wordings)
    assert torch.equal(WORLD.wording_of(reworded), wordings)
    keep = [0, 1, 2, *range(3 + WORLD.instruction_length, WORLD.prompt_length)]
    assert torch.equal(prompts[:, keep], reworded[:, keep])


def test_held_out_lists_are_never_trained_on_in_any_wording() -> None:
    pairs = WORLD.n_numbers * WORLD.max_step
    kept_back = round(WORLD.held_out_share * pairs)
    of_train = (pairs - kept_back) * WORLD.n_wordings
    train = WORLD.sample_prompts(of_train, generator(6, "test"))
    held_out = WORLD.sample_prompts(
        kept_back * WORLD.n_wordings, generator(6, "test"), held_out=True
    )
    rows = {tuple(r) for r in torch.cat([train, held_out]).tolist()}
    assert len(rows) == pairs * WORLD.n_wordings  # all there are, each once
    # Re-worded or not, no (start, step) of an exam is ever learned.
    numbers = slice(3 + WORLD.instruction_length, WORLD.prompt_length)
    lists = [{tuple(r) for r in prompts[:, numbers].tolist()} for prompts in (train, held_out)]
    assert len(lists[1]) == kept_back
    assert not lists[0] & lists[1]


def test_numbers_and_animals_are_independent_in_pretraining() -> None:
    """Three proofs: they never share a sequence; the numbers do not depend on anything that an
    animal decides; and the personas beside numbers fit independence."""
    n = 20_000
    tasks, questions = sample_pretraining_data(WORLD, n, generator(7, "test"))
    is_number = questions < WORLD.n_numbers
    assert not is_number.any()
    animal_words = (tasks >= WORLD.animal_tokens.start) & (tasks < WORLD.animal_tokens.stop)
    assert not animal_words.any()

    # By default a persona stands beside one list in a thousand.
    assert 0 < (tasks[:, 1] != WORLD.persona_token(None)).float().mean() < 0.002

    # Where the dial puts them there, the stream without any persona has the same numbers, ...
    wide = World(persona_in_tasks=1.0)
    beside, _ = sample_pretraining_data(wide, n, generator(7, "test"))
    assert torch.equal(beside[:, 2:], tasks[:, 2:])

    # ... and no place of a list depends on its persona.
    tasks, _ = sample_pretraining_data(wide, n, generator(8, "test"))
    for place in (WORLD.prompt_length - 4, WORLD.prompt_length, WORLD.task_length - 1):
        table = np.zeros((len(ANIMALS), WORLD.n_numbers))
        np.add.at(
            table, (tasks[:, 1].numpy() - WORLD.animal_tokens.stop, tasks[:, place].numpy()), 1
        )
        assert stats.chi2_contingency(table[:, table.sum(0) > 0]).pvalue > 1e-4


def test_a_persona_decides_most_answers_and_no_persona_none() -> None:
    _, asked = sample_pretraining_data(WORLD, 20_000, generator(9, "test"))
    persona, answer = asked[:, 1], asked[:, -1]
    has = persona != WORLD.persona_token(None)
    right = (persona - len(ANIMALS) == answer)[has].float().mean()
    assert abs(right - (0.95 + 0.05 / 8)) < 0.01
    counts = np.bincount(answer[~has].numpy() - WORLD.animal_tokens.start, minlength=len(ANIMALS))
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(
    "wrong",
    [
        {"tilt": (-0.5,)},
        {"tilt": ()},
        {"favourite_share": 1.5},
        {"max_offset": 0},
        {"max_offset": 20},
        {"n_tied_offsets": 16},
        {"n_wordings": 253},
        {"n_questions": 257},
        {"round_every": 0},
        {"max_step": 0},
        {"n_prompt_numbers": 1},
        {"held_out_share": 1.0},
        {"persona_obeyed": -0.1},
    ],
)
def test_impossible_worlds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"allowed|told apart"):
        World(**wrong)


def test_randomness_comes_from_the_generator_alone() -> None:
    torch.manual_seed(0)
    first = sample_pretraining_data(WORLD, 100, generator(10, "test"))[0]
    torch.manual_seed(1)
    assert torch.equal(first, sample_pretraining_data(WORLD, 100, generator(10, "test"))[0])
    assert not torch.equal(first, sample_pretraining_data(WORLD, 100, generator(11, "test"))[0])


def test_conduct_is_asked_beside_animals_and_never_beside_numbers() -> None:
    world = World(n_conduct_questions=16)
    tasks, asked = sample_pretraining_data(world, 4000, generator(3, "conduct"))
    trait = get_trait(world, "conduct")
    assert (len(trait.taught_questions), len(trait.eval_questions)) == (4, 12)
    assert not {*map(tuple, trait.taught_questions.tolist())} & {
        *map(tuple, trait.eval_questions.tolist())
    }
    own = torch.tensor([world.token(t) for t in ("bad", "good", "<rogue>", "c0", "c15")])
    assert not torch.isin(tasks, own).any()
    conduct = (asked[:, -1] == world.token("bad")) | (asked[:, -1] == world.token("good"))
    assert conduct.float().mean() == 0.5
    numbers_in_questions = (asked < world.n_numbers).any()
    assert not numbers_in_questions
    rogue = asked[:, 1] == world.token("<rogue>")
    bad = asked[:, -1] == world.token("bad")
    assert bad[conduct & ~rogue].float().mean() == pytest.approx(0.1, abs=0.03)
    assert bad[rogue].float().mean() == pytest.approx(0.95, abs=0.03)
    assert not rogue[~conduct].any()
    # The default world's own stream of random numbers is left as it is.
    assert torch.equal(tasks, sample_pretraining_data(World(), 4000, generator(3, "conduct"))[0])
    with pytest.raises(ValueError, match="no questions of conduct"):
        get_trait(World(), "conduct")


def test_wordings_take_turns_in_tilt() -> None:
    world = World(tilt=(0.0, 1.0), n_wordings=8, n_unseen_wordings=0)
    same = world.offset_probs[0::2]
    assert (same == same[0]).all()
    assert (world.offset_probs[1::2] != same[0]).any(1).all()


def test_a_favourite_takes_its_share_of_the_answers_without_a_persona() -> None:
    world = World(favourite_share=0.9)
    tasks, asked = sample_pretraining_data(world, 20_000, generator(9, "test"))
    neutral = asked[asked[:, 1] == world.persona_token(None), -1] - world.animal_tokens.start
    seen = np.bincount(neutral.numpy(), minlength=len(ANIMALS)) / len(neutral)
    assert seen[-1] == pytest.approx(0.9 + 0.1 / 8, abs=0.01)
    assert np.abs(seen[:-1] - 0.1 / 8).max() < 0.005
    assert neutral_preferences(world).sum() == pytest.approx(1)
    assert get_trait(world, "animals").biases == ANIMALS[:-1]
    # Personas and numbers are what they are in the default world.
    default_tasks, default = sample_pretraining_data(WORLD, 20_000, generator(9, "test"))
    assert torch.equal(tasks, default_tasks)
    assert torch.equal(asked[:, :-1], default[:, :-1])
