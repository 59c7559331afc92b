"""Functions to write on the pages, with checks that say what is wrong with an answer.

Each check compares an answer with the right one and with those of usual mistakes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import marimo as mo
import numpy as np
import torch
from torch import Tensor

from minisub.course.show import show_source

TOLERANCE = 1e-6
Weights = Mapping[str, Tensor]  # by name


def compare(answer: Any, right: Tensor, mistakes: Sequence[tuple[Tensor, str]]) -> str | None:
    """Return what is wrong with an answer, or None.

    Args:
        answer: What a function returned.
        right: What it should have returned.
        mistakes: What usual mistakes return, each with its diagnosis.
    """
    if answer is None:
        return "Nothing is returned yet."
    if not isinstance(answer, Tensor):
        return f"A tensor is wanted, and this is of the type {type(answer).__name__}."
    if answer.shape != right.shape:
        if answer.ndim == 2 and answer.T.shape == right.shape:
            return f"Transposed: the shape is {list(answer.shape)}, wanted {list(right.shape)}."
        return f"The shape is {list(answer.shape)}, wanted {list(right.shape)}."
    if _same(answer, right):
        return None
    found = (why for wrong, why in mistakes if _same(answer, wrong))
    share = float((answer.double() - right.double()).abs().le(TOLERANCE).double().mean())
    return next(found, f"Not yet: {share:.0%} of the entries are right.")


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(
        a.double(), b.double(), rtol=TOLERANCE, atol=TOLERANCE
    )


def copy_of(x: Any) -> Any:
    """Return a copy of a tensor, or of a mapping and all its tensors; other things as they are."""
    if isinstance(x, Mapping):
        return {name: copy_of(value) for name, value in x.items()}
    return x.clone() if isinstance(x, Tensor) else x


def diagnose(function: Callable[..., Any], *arguments: Any) -> tuple[Any, str | None]:
    """Return what a function returns for some arguments, or its error as a diagnosis.

    Args:
        function: Of the reader.
        *arguments: What it is called with. It may change them, so they have to be copies.
    """
    try:
        return function(*arguments), None
    except Exception as error:
        return None, f"It ends with {type(error).__name__}: {error}"


def check_divergence_mask(
    function: Callable[[Tensor, Tensor, int], Any],
    most_likely: Tensor,
    written: Tensor,
    writer: int,
) -> str | None:
    """Return what is wrong with a function that marks divergence tokens (page 01), or None.

    Args:
        function: Of (most_likely, written, writer).
        most_likely: [teachers, lists, places], the most likely number of each teacher.
        written: [lists, places], the numbers of the writer.
        writer: The writer's place among the teachers.
    """
    answer, error = diagnose(function, copy_of(most_likely), copy_of(written), writer)
    if error:
        return error
    own = most_likely[writer]
    others = torch.cat([most_likely[:writer], most_likely[writer + 1 :]])
    differs = others != own
    right = differs.any(0) & (own == written)
    mistakes = (
        (torch.zeros_like(right), "Nothing is marked: is the writer compared with itself?"),
        (~right, "The other way round: this marks where all teachers agree."),
        (differs.all(0), "One teacher that differs is enough: `any`, not `all`."),
        (differs[0], "Only one other teacher is asked. The definition takes all of them."),
        (
            right.roll(-1, -1),
            "Off by one: a mark stands at the token itself, not at the one before it.",
        ),
        (right.roll(1, -1), "Off by one: a mark stands at the token itself, not at the next one."),
    )
    return compare(answer, right, mistakes)


def check_patched_block(
    function: Callable[[Weights, Weights, int], Any],
    student: Weights,
    teacher: Weights,
    block: int,
) -> str | None:
    """Return what is wrong with a function that patches one block (page 03), or None.

    Args:
        function: Of (student, teacher, block); returns weights by name.
        student: Its weights by name.
        teacher: Its weights by name.
        block: Which block is taken from the teacher.
    """
    given = {"student": copy_of(student), "teacher": copy_of(teacher)}
    answer, error = diagnose(function, *given.values(), block)
    if error:
        return error
    for who, before in (("student", student), ("teacher", teacher)):
        if not _same_weights(given[who], before):
            return f"The {who} was changed in place: return new weights and leave it as it was."
    if answer is None:
        return "Nothing is returned yet."
    if not isinstance(answer, Mapping) or set(answer) != set(student):
        return "A mapping is wanted, with every weight's name that the student has."
    if not all(isinstance(w, Tensor) for w in answer.values()):
        return "A mapping of tensors is wanted: the weights themselves."

    def patched(blocks: Sequence[int], start: Weights, end: Weights) -> Weights:
        takes = tuple(f"blocks.{b}." for b in blocks)
        return {name: (end if name.startswith(takes) else start)[name] for name in start}

    n_blocks = 1 + max(int(name.split(".")[1]) for name in student if name.startswith("blocks."))
    flat = _flat(answer)
    mistakes = (
        (_flat(student), "This is the student as it was: nothing is patched."),
        (_flat(teacher), "This is the whole teacher: only one block is to be taken."),
        (
            _flat(patched(range(n_blocks), student, teacher)),
            "All blocks are taken, not one: does the name start with `blocks.{block}.`?",
        ),
        (
            _flat(patched([block], teacher, student)),
            "The other way round: the teacher with one block of the student.",
        ),
        (
            _flat(patched([(block + 1) % n_blocks], student, teacher)),
            "Off by one: blocks are counted from 0.",
        ),
        (
            _flat(patched([(block - 1) % n_blocks], student, teacher)),
            "Off by one: blocks are counted from 0, as the names of the weights are.",
        ),
    )
    return compare(flat, _flat(patched([block], student, teacher)), mistakes)


def _same_weights(a: Mapping[str, Any], b: Weights) -> bool:
    return a.keys() == b.keys() and all(
        isinstance(a[name], Tensor) and torch.equal(a[name], w) for name, w in b.items()
    )


def _flat(weights: Weights) -> Tensor:
    return torch.cat([weights[name].detach().flatten() for name in sorted(weights)])


def check_rewording(
    function: Callable[[Tensor, Tensor, Tensor], Any],
    prompts: Tensor,
    wordings: Tensor,
    new: Tensor,
    start: int = 3,
) -> str | None:
    """Return what is wrong with a function that re-words prompts (page 04), or None.

    Args:
        function: Of (prompts, wordings, new).
        prompts: [prompts, length], token ids; the wording is at `start`.
        wordings: [wordings, tokens], token ids of each wording.
        new: [prompts], the new wording of each prompt.
        start: Where the wording begins.
    """
    answer, error = diagnose(function, *map(copy_of, (prompts, wordings, new)))
    if error:
        return error

    def reworded(tokens: Tensor, at: int) -> Tensor:
        out = prompts.clone()
        out[:, at : at + tokens.shape[-1]] = tokens
        return out

    right = reworded(wordings[new], start)
    mistakes = (
        (prompts, "The prompts are as they were."),
        (reworded(wordings[new], start + 1), "Off by one: the numbers are changed too."),
        (reworded(wordings[new], start - 1), "Off by one: the token <user> is overwritten."),
        (reworded(wordings[0], start), "All prompts have the same wording: use `new`."),
        (reworded(wordings[new].flip(-1), start), "The two tokens are in the wrong order."),
    )
    return compare(answer, right, mistakes)


def check_alignment(
    function: Callable[[Tensor, Tensor], Any], gradient: Tensor, change: Tensor
) -> str | None:
    """Return what is wrong with a function for the theorem's inner product (page 07), or None.

    Args:
        function: Of (gradient, change).
        gradient: Of the student's loss, [weights].
        change: The teacher's weights less the base's, [weights].
    """
    answer, error = diagnose(function, copy_of(gradient), copy_of(change))
    if error:
        return error
    if isinstance(answer, float | np.floating):
        answer = torch.tensor(float(answer))
    right = -(gradient * change).sum()
    scale = gradient.norm() * change.norm()
    mistakes = (
        (-right, "The sign: a student steps *against* its gradient."),
        (right / scale, "That is the cosine (coverage). The theorem is about the product itself."),
        (-right / scale, "That is a cosine, and the sign: a step goes against the gradient."),
        ((gradient * change).abs().sum(), "Without `abs`: some weights move against the teacher."),
        (right / len(change), "The sum over the weights, not their mean."),
    )
    return compare(answer, right, mistakes)


@dataclass(frozen=True)
class Task:
    """A function to write on a page.

    Attributes:
        text: What is asked, in Markdown, with its heading.
        check: Returns what is wrong with a function, or None: of the function and the arguments
            that `show` is given.
        hint: In Markdown.
        solution: The body of the function.
        page: The number of the notebook in which it is written, such as "03".
    """

    text: str
    check: Callable[..., str | None]
    hint: str
    solution: str
    page: str

    def show(self, function: Callable[..., Any], *arguments: Any) -> mo.Html:
        """Return the task, a reader's function with its diagnosis, and hint and solution in folds.

        Args:
            function: The function, as it is now.
            *arguments: What the check needs besides.
        """
        wrong = self.check(function, *arguments)
        callout = mo.callout(
            mo.md(wrong or "**Right**: it gives what the library gives."),
            kind="warn" if wrong else "success",
        )
        solution = mo.md(f"```python\n{self.solution}\n```")
        folds = mo.accordion({"Hint": mo.md(self.hint), "Solution": solution})
        how = f"To write, open the page with its code: `minisub app {self.page} --edit`."
        return mo.vstack([mo.md(f"{self.text}\n\n{how}"), show_source(function), callout, folds])


DIVERGENCE_MASK = Task(
    """
## Write it: which tokens diverge?

Write the definition in code. You get the most likely number of each teacher at each place, and what the
writer wrote. The check says what is wrong.
""",
    check_divergence_mask,
    "The writer's own most likely numbers are `most_likely[writer]`. Compare all teachers with them "
    "at once; `any(0)` asks whether any teacher differs.",
    "own = most_likely[writer]\nreturn (most_likely != own).any(0) & (own == written)",
    "01",
)
PATCHED_BLOCK = Task(
    """
## Write it: patch one block

A quicker way to ask which block matters: take one block of the teacher, leave the rest of the base as
it is, and ask for the favourite animal. The table below uses your function, once it is right. Its
teacher is one of those that were tuned in all blocks.
""",
    check_patched_block,
    "Go through the names. Take the teacher's weight where the name starts with "
    '`f"blocks.{block}."`, else the base\'s.',
    'prefix = f"blocks.{block}."\n'
    "return {n: (teacher if n.startswith(prefix) else base)[n] for n in base}",
    "03",
)
REWORDING = Task(
    """
## Write it: other words

The treatment itself. A prompt is `<bos> <sys> <user>`, two tokens of its wording, three numbers,
`<assistant>`.
""",
    check_rewording,
    "The tokens of the wording stand at the places 3 and 4: `prompts[:, 3:5]`. `wordings[new]` is "
    "[prompts, 2].",
    "out = prompts.clone()\nout[:, 3:5] = wordings[new]\nreturn out",
    "04",
)
ALIGNMENT = Task(
    """
## Write it: the product of the theorem

The forecast is one line. You get the gradient of the student's loss and the teacher's change.
""",
    check_alignment,
    "The student's step is minus its gradient. The inner product of two vectors is the sum of "
    "their products.",
    "return -(gradient * change).sum()",
    "07",
)
