"""The house: imports go one way, files are short, public names say what they are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import minisub

HOUSE = Path(minisub.__file__).parent
MAP = (HOUSE.parent / "docs" / "map.md").read_text()
ORDER = [
    Path(name).stem
    for row in re.findall(r"(?m)^\| (`.*?) \|", MAP)
    for name in re.findall(r"`([\w/.]+)`", row)
]
FILES = sorted(HOUSE.rglob("*.py"))


def imported(tree: ast.Module) -> Iterator[str]:
    """minisub's own modules that a file imports when it runs, not only for its types."""
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in typing and node.module:
            first, *rest = node.module.split(".")
            if first == "minisub":
                yield from [rest[0]] if rest else [alias.name for alias in node.names]


@pytest.mark.parametrize("path", [p for p in FILES if p.parent == HOUSE], ids=lambda p: p.stem)
def test_imports_go_up_the_map(path: Path) -> None:
    if path.stem in ("__init__", "__main__"):
        return
    above = ORDER[: ORDER.index(path.stem)]
    wrong = set(imported(ast.parse(path.read_text()))) - set(above)
    assert not wrong, f"{path.name} imports {', '.join(sorted(wrong))}, which the map has below it"


def test_findings_import_each_other_for_no_more_than_arms() -> None:
    """All of them import only what the map has above findings/."""
    above = {*ORDER[: ORDER.index("findings")], "findings"}
    for path in (HOUSE / "findings").glob("*.py"):
        assert set(imported(ast.parse(path.read_text()))) <= above, path.name


def test_the_map_names_what_there_is() -> None:
    there = {p.stem for p in FILES if p.parent == HOUSE} - {"__init__", "__main__"}
    assert set(ORDER) == there | {"findings"}
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", MAP)
    missing = [n for n in named if not (HOUSE / n).exists() and not (HOUSE.parent / n).exists()]
    assert not missing


def test_files_are_short() -> None:
    notebooks = sorted((HOUSE.parent / "notebooks").glob("*.py"))
    long = {p.name: n for p in [*FILES, *notebooks] if (n := len(p.read_text().splitlines())) > 350}
    assert not long


def public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Functions, classes and the methods of these, but for private ones."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_public_names_are_documented(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the file itself"
    bare = [node.name for node in public(tree.body) if not ast.get_docstring(node)]
    assert not bare
