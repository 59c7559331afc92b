"""Wrong arguments in Python: one line that says what is allowed, and no traceback from inside."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from typing import Any

import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minisub.common.fields import check_fields
from minisub.common.files import digest
from minisub.distillation.base import BaseConfig
from minisub.distillation.teachers import TeacherConfig
from minisub.experiment.arm import Arm
from minisub.experiment.config import Config
from minisub.experiment.options import RunOptions
from minisub.experiment.study import Study
from minisub.transformer.config import ModelConfig
from minisub.transformer.optimizer import TrainingConfig
from minisub.world.validation import check_world
from minisub.world.world import World

KINDS = (World, ModelConfig, TrainingConfig, BaseConfig, TeacherConfig, Config, Arm)
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([10**9, 2**70, -1, 0]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["adamw", "tuned", "greedy", "all", "<bos>", "", "own persona"]),
    st.lists(st.integers(0, 3), max_size=2),
    st.tuples(st.floats(0, 3)),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
    st.builds(object),
    st.just(len),
    st.just(np.int64(3)),
    st.just(np.float32(0.5)),
    st.sampled_from([World(), TrainingConfig()]),
)


@pytest.fixture(scope="module", autouse=True)
def as_users_have_it() -> Iterator[None]:
    """Without the tests' own checks of types, so that minisub itself has to refuse."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def refusal(call: Callable[[], Any]) -> str | None:
    """Return what a call says that it refuses, or None."""
    try:
        call()
    except ValueError as error:
        return str(error)
    return None


@st.composite
def arguments(draw: st.DrawFn) -> tuple[type, dict[str, Any]]:
    kind = draw(st.sampled_from(KINDS))
    names = [f.name for f in fields(kind)]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return kind, {name: draw(anything) for name in chosen}


@settings(max_examples=600)
@given(arguments())
def test_wrong_arguments_are_one_line(lot: tuple[type, dict[str, Any]]) -> None:
    """Or they are none: then the thing can be named in the store."""
    kind, given_ = lot
    told = refusal(lambda: make(kind, given_))
    if told is not None:
        assert_one_line(told)
        return
    made = make(kind, given_)
    if kind is Arm:
        digest(made.spec())
        told = refusal(lambda: Study([Arm("all"), made] if made.name != "all" else [made]))
        assert_one_line(told)
    else:
        digest(asdict(made))


# What stands for "allowed" in three messages, which say what there is.
OR = ("to change; there are ", "no token is called ", "a study needs arms")


def assert_one_line(told: str | None) -> None:
    """Check what `refusal` gave: it says what is allowed, or refuses nothing."""
    if told is not None:
        assert any(words in told for words in ("allowed", *OR)), told
        assert "\n" not in told


def make(kind: type, given_: dict[str, Any]) -> Any:
    return kind(**{"name": "mine", **given_} if kind is Arm else given_)


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({"n_numbers": "40"}, "n_numbers is '40', allowed: whole numbers"),
        ({"n_numbers": 40.0}, "n_numbers is 40.0, allowed: whole numbers"),
        ({"n_numbers": 10**6}, "n_numbers is 1000000, allowed: at most 1000"),
        ({"persona_obeyed": float("nan")}, "persona_obeyed is nan, allowed: finite numbers"),
        ({"tilt": 3.0}, "tilt is 3.0, allowed: a tuple of numbers, each 0 or more"),
        ({"animals": ["yak", "gnu"]}, r"animals are \['yak', 'gnu'\], allowed: a tuple of names"),
        ({"n_wordings": True}, "n_wordings is True, allowed: whole numbers"),
    ],
)
def test_a_world_says_what_is_allowed(given_: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make(World, given_)


def test_numbers_of_numpy_are_plain_afterwards() -> None:
    world = make(World, {"n_numbers": np.int64(48)})
    check_world(world)
    assert type(world.n_numbers) is int
    training = make(TrainingConfig, {"lr": np.float64(0.5)})
    assert type(training.lr) is float
    check_fields(training)


@settings(max_examples=200)
@given(st.sampled_from(["seeds", "workers", "device", "store"]), anything)
def test_wrong_options_are_one_line(name: str, value: Any) -> None:
    if name == "store" and isinstance(value, str):
        return  # a folder
    told = refusal(lambda: RunOptions(**{name: value}))
    assert_one_line(told)


@settings(max_examples=200)
@given(st.sampled_from(["arms", "config", "name"]), anything)
def test_wrong_studies_are_one_line(name: str, value: Any) -> None:
    told = refusal(lambda: Study(**{"arms": [Arm("all")], name: value}))
    assert_one_line(told)


SETTINGS = (
    *("base.world.tilt", "student.lr", "n_lists", "teacher", "base", "x", "student.x"),
    *("teacher.kind", "base.model.d_model", "", "student"),
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(SETTINGS), anything, min_size=1, max_size=2))
def test_wrong_overrides_are_one_line(overrides: dict[str, Any]) -> None:
    told = refusal(lambda: Study([Arm("all"), Arm("mine", overrides=overrides)]))
    assert_one_line(told)
