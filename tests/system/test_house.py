"""The house: imports go one way, files are short, public names say what they are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from minisub.common.provenance import PACKAGE, is_covered
from minisub.distillation.base import BASE_SOURCES
from minisub.experiment.arm import STUDENT_SOURCES, TEACHER_SOURCES

# Packages are stages: a module imports only from its own package and from those above it here.
ORDER = [
    *("common", "transformer", "world", "distillation", "mechanism", "viz", "results"),
    *("experiment", "findings", "course", "devtools", "cli"),
]
# The stand-ins have the names and the houses of torch and scipy.
FILES = sorted(
    p
    for p in PACKAGE.rglob("*.py")
    if not {PACKAGE / "course/browser" / name for name in ("torch", "scipy")} & set(p.parents)
)
MODULES = [path for path in FILES if path.parent != PACKAGE]


def imported(tree: ast.Module) -> Iterator[str]:
    """Return the minisub modules that a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("minisub"):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_module = PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py").exists()
                yield name if is_module else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("minisub"))


def module_of(path: Path) -> str:
    return ".".join(("minisub", *path.relative_to(PACKAGE).with_suffix("").parts))


def test_every_package_is_a_stage() -> None:
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert there == set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_imports_go_one_way(path: Path) -> None:
    package = path.relative_to(PACKAGE).parts[0]
    allowed = ORDER[: ORDER.index(package) + 1]
    wrong = [
        name for name in imported(ast.parse(path.read_text())) if name.split(".")[1] not in allowed
    ]
    assert not wrong, f"{path.name} imports {', '.join(wrong)}, of a later stage"


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {module_of(p): set(imported(ast.parse(p.read_text()))) for p in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle: {' -> '.join((*path, name))}"
        if name in done:
            return
        for other in graph.get(name, ()):
            visit(other, (*path, name))
        done.add(name)

    for name in graph:
        visit(name, ())


# What is imported on the way to a number and decides none: files, processes, checks of fields.
DECIDE_NOTHING = {
    f"minisub.common.{name}"
    for name in ("fields", "files", "process_pool", "processes", "provenance", "store")
}


@pytest.mark.parametrize(
    ("sources", "measure_only"),
    [
        (BASE_SOURCES, {"minisub.distillation.evaluation"}),  # of a base that is done
        (TEACHER_SOURCES, set()),
        (STUDENT_SOURCES, set()),
    ],
    ids=["bases", "teachers", "students"],
)
def test_keys_follow_all_modules_that_are_imported_on_the_way(
    sources: tuple[str, ...], measure_only: set[str]
) -> None:
    """A new module on the way to a number is named in `..._SOURCES`, or here with a reason."""
    graph = {module_of(p): set(imported(ast.parse(p.read_text()))) for p in MODULES}
    reached = {name for name in graph if is_covered(name, sources)}
    for name in sources:
        assert any(is_covered(module, (name,)) for module in reached), f"there is no {name}"
    while new := {other for name in reached for other in graph.get(name, ())} - reached:
        reached |= new
    assert {n for n in reached if not is_covered(n, sources)} == DECIDE_NOTHING | measure_only


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_no_import_is_for_types_alone(path: Path) -> None:
    """`TYPE_CHECKING` between own modules hides a circle."""
    assert "TYPE_CHECKING" not in path.read_text()


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=module_of)
def test_the_start_of_a_package_is_a_docstring(path: Path) -> None:
    if path.parent.name != "findings":  # which names all findings
        assert len(ast.parse(path.read_text()).body) == 1


def test_files_are_short() -> None:
    notebooks = sorted((PACKAGE.parent / "notebooks").glob("*.py"))
    lengths = {module_of(p): len(p.read_text().splitlines()) for p in FILES}
    assert len(lengths) == len(FILES), "two files under one name"
    assert not {name: n for name, n in lengths.items() if n > 330}
    assert not [p.name for p in notebooks if len(p.read_text().splitlines()) > 250]


def functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Return public functions and the public methods of public classes."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node.body)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_two_arguments_or_more_are_explained(path: Path) -> None:
    """Ruff (D417) asks for every argument in a section; this asks for the section."""
    bare = []
    for node in functions(ast.parse(path.read_text()).body):
        args = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [a.arg for a in args if a.arg not in ("self", "cls")]
        if len(names) >= 2 and "Args:" not in (ast.get_docstring(node) or ""):
            bare.append(node.name)
    assert not bare


def test_the_map_of_changes_names_files_that_are_there() -> None:
    text = (PACKAGE.parent / "docs" / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", text)
    assert len(named) >= 10
    root = PACKAGE.parent
    assert not [n for n in named if not (PACKAGE / n).exists() and not (root / n).exists()]
