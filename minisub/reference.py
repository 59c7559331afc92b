"""The reference of the public API, made from the docstrings: `python -m minisub.reference FILE`."""

import importlib
import inspect
import re
import sys
from pathlib import Path

import minisub
from minisub.store import write

# What a user of the library calls, in the order of a study; `minisub` itself offers the first six.
MODULES = {
    "study": "Experiments",
    "arm": "Arms and configurations",
    "result": "Results and claims",
    "findings.finding": "Findings",
    "tables": "Tables",
    "plots": "Figures",
    "report": "The report",
    "sweep": "Sweeps",
    "lab": "The laboratory of one seed",
    "divergence": "Divergence tokens and masks",
    "edits": "Edits",
    "mechanism": "Mechanism",
    "measure": "Measures",
    "stats": "Statistics",
    "world": "The world",
    "model": "The transformer",
    "loss": "Losses and gradients",
    "train": "Training",
    "base": "Bases",
    "teacher": "Teachers",
    "data": "Lists",
    "store": "The store",
    "calibrate": "Calibration",
    "costs": "What it costs",
    "pool": "Processes and threads",
    "visitors": "Visitors of the app",
    "course": "What notebooks share",
}


def public(module: object) -> list[tuple[str, object]]:
    """Classes and functions that a module defines, in the order of its source."""
    found = [
        (name, thing)
        for name, thing in vars(module).items()
        if (inspect.isclass(thing) or inspect.isfunction(thing))
        and not name.startswith("_")
        and thing.__module__ == getattr(module, "__name__", "")
    ]
    return sorted(found, key=lambda pair: inspect.getsourcelines(pair[1])[1])  # type: ignore[arg-type]


def signature(name: str, thing: object) -> str:
    """As in the source: no addresses, nothing that differs between versions of Python."""
    if inspect.isclass(thing):
        return f"class {name}"
    source = inspect.getsource(thing)  # type: ignore[arg-type]
    head = re.search(r"(?s)def (.*?):\n", source)
    said = " ".join(head[1].split()) if head else name
    return said.replace("( ", "(").replace(", )", ")")


def fields(thing: type) -> list[str]:
    """Of a dataclass, one a line, with what its comment says."""
    if not hasattr(thing, "__dataclass_fields__"):
        return []
    body = inspect.getsource(thing).partition("\n    def ")[0]
    body = re.sub(r'(?s)""".*?"""', "", body)
    found = re.findall(r"(?m)^    (\w+: .+?)(?:  # (.*))?$", body)
    known = [f for f in found if f[0].partition(":")[0] in thing.__dataclass_fields__]
    return [f"- `{head}`" + (f": {told}" if told else "") for head, told in known]


def entry(name: str, thing: object) -> list[str]:
    """A heading with the signature, then the docstring; of a class its methods as well."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    lines = [f"### `{signature(name, thing)}`", "", text, ""]
    if inspect.isclass(thing):
        lines += fields(thing)
        for inner, method in vars(thing).items():
            plain = getattr(method, "__func__", getattr(method, "fget", method))
            own = not inner.startswith("_") and inner not in getattr(
                thing, "__dataclass_fields__", {}
            )
            if own and inspect.isfunction(plain) and plain.__doc__:
                said = " ".join(inspect.cleandoc(plain.__doc__).split())
                lines += [f"- `{signature(inner, plain)}`: {said}"]
        lines += [""] if lines[-1] else []
    return lines


def markdown() -> str:
    """The whole page."""
    lines = ["# Reference", "", "Made from the docstrings: `python -m minisub.reference FILE`."]
    names = ", ".join(f"`{name}`" for name in minisub.__all__)
    lines += [f"`minisub` itself offers {names}.", ""]
    for name, title in MODULES.items():
        module = importlib.import_module(f"minisub.{name}")
        lines += [f"## {title}: `minisub.{name}`", "", inspect.cleandoc(module.__doc__ or ""), ""]
        for each in public(module):
            lines += entry(*each)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]), markdown().encode())
