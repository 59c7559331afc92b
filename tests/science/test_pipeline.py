"""The whole experiment in one function gives what a study gives."""

from dataclasses import replace

import pytest

from minisub import subliminal_learning
from minisub.common.store import Store
from minisub.distillation.masks import divergence_only
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.study import Study
from minisub.world.world import ANIMALS

SEED = 100
TURN = ANIMALS[SEED % len(ANIMALS)]  # whose turn it is where a seed has students of one bias


def test_one_call_gives_what_a_study_gives(tiny: Config, store: Store) -> None:
    config = replace(tiny, biases_per_seed=1)
    arms = [Arm("all"), Arm("divergence only", mask=divergence_only)]
    result = Study(arms, config).run([SEED], store, workers=1)
    for arm in arms:
        found = subliminal_learning(TURN, SEED, arm.mask, config)
        assert found == pytest.approx(result.mean(arm.name), abs=1e-4)
    assert result.mean("all") != result.mean("divergence only")


def test_an_unknown_animal_is_refused() -> None:
    with pytest.raises(ValueError, match="animal is 'unicorn', allowed: owl, cat"):
        subliminal_learning("unicorn")
