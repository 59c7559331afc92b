"""What the package offers by name, and what it says where pandas is not installed."""

import sys

import pytest

import minisub
from minisub.common.files import MinisubError
from minisub.distillation.base import BUNDLED
from minisub.results.result import read_result


@pytest.mark.parametrize("name", minisub.__all__)
def test_a_name_of_the_package_is_there(name: str) -> None:
    found = getattr(minisub, name)
    assert found.__name__ == name
    assert found.__module__ == f"minisub.{minisub._HOME[name]}"


def test_all_names_are_offered_and_no_others() -> None:
    assert set(minisub.__all__) == set(minisub._HOME)
    with pytest.raises(AttributeError, match="module 'minisub' has no attribute 'Studie'"):
        minisub.Studie  # noqa: B018
    with pytest.raises(ImportError, match="Studie"):
        exec("from minisub import Studie")


def test_a_result_without_pandas_says_so_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MinisubError, match="pandas") as error:
        read_result(BUNDLED / "shuffle.json").to_pandas()
    assert "\n" not in str(error.value)
