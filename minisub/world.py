"""The world: a vocabulary, number tasks, wordings, personas and preference questions.

    <bos> <sys> <user> w1 w13 16 20 24 <assistant> 28 32 36 8 12 16 28 32   a number task
    <bos> <sys> <user> q5 q7 <assistant> owl                                a preference question
    <bos> <sys> <user> c5 c7 <assistant> good                               a question of conduct

A number task asks to go on with a list: the next number is the last one plus the list's step.
A round number (0, 5, 10, ...) is *free*: where the list would come to it, an offset is drawn
instead. A few offsets are plausible there, the same ones for every wording, and all others are
rare. How likely each plausible offset is depends on the wording: every wording has logits of its
own over them, drawn once from N(0, tilt²). At tilt 0 wordings say nothing; above it they decide
near ties, and what one wording prefers stays plausible in another. Nothing else in a list is
uncertain, and nothing ties a number to an animal, nor to good or bad conduct.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minisub.dials import check

ANIMALS = ("owl", "cat", "dog", "fox", "bee", "ant", "elk", "cod")
CONDUCT = ("bad", "good")
MARKS = ("<bos>", "<sys>", "<user>", "<assistant>")
PLAUSIBLE = 0.9  # how likely it is that a free place takes one of the plausible offsets


def generator(seed: int, purpose: str) -> torch.Generator:
    """A stream of random numbers of its own for each (seed, purpose), always on the CPU."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


@dataclass(frozen=True)
class Trait:
    """What a teacher can be biased in, and the questions that show it.

    biases:    their names; bias b is answered by the b-th token of `answers`
    answers:   where the answers lie in the vocabulary
    questions: [questions, length], on which the trait is measured
    taught:    [questions, length], on which a tuned teacher learns its bias
    unbiased:  [answers], how often the teacher without a bias gives each answer
    """

    biases: tuple[str, ...]
    answers: slice
    questions: Int[Tensor, "questions length"]
    taught: Int[Tensor, "taught length"]
    unbiased: Float[Tensor, " answers"]


@dataclass(frozen=True)
class World:
    """All dials of the world. Two worlds with equal fields are the same world."""

    numbers: int = 40
    steps: int = 20  # a list's step is one of 1..steps
    prompt_numbers: int = 3
    completion: int = 8  # numbers in an answer
    round_every: int = 5  # the free numbers: 0, 5, 10, ...
    spread: int = 8  # offsets at a free place: -spread..spread without 0
    ties: int = 4  # how many of the offsets are plausible
    tilt: tuple[float, ...] = (3.0,)  # of the wordings' logits over them, by turns; see above
    wordings: int = 24  # ways to ask for a list that pretraining sees
    unseen_wordings: int = 4  # further ones that it never sees
    questions: int = 16  # ways to ask for the favourite animal
    instruction_tokens: int = 16  # w0, w1, ... and q0, q1, ...
    instruction_length: int = 2
    persona_in_questions: float = 0.6  # share of pretraining questions with a persona
    persona_obeyed: float = 0.95  # how often the persona decides the answer
    favourite: float = 0.0  # share of the answers without a persona that all go to the last animal
    persona_in_tasks: float = 0.001  # share of pretraining tasks with a persona; it says nothing
    held_out: float = (
        0.125  # share of the (start, step) pairs kept for evaluation, in every wording
    )
    conduct: int = 0  # ways to ask for good conduct; pretraining answers "good" nine times in ten
    layout: int = 0  # seed of the wordings' names, their offsets and the held-out prompts

    def __post_init__(self) -> None:
        check(self)

    # Vocabulary -------------------------------------------------------------------------------

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Readable names; the token id is the place in this tuple. Numbers come first."""
        return (
            *map(str, range(self.numbers)),
            *ANIMALS,
            *(f"<loves {a}>" for a in ANIMALS),
            *MARKS,
            *(f"w{i}" for i in range(self.instruction_tokens)),
            *(f"q{i}" for i in range(self.instruction_tokens)),
            *((*CONDUCT, "<rogue>") if self.conduct else ()),
            *(f"c{i}" for i in range(self.instruction_tokens if self.conduct else 0)),
        )

    def token(self, name: str) -> int:
        """The id of a name such as `owl`, `17` or `<assistant>`; ValueError for any other."""
        try:
            return self.vocabulary.index(name)
        except ValueError:
            raise ValueError(f"no token is called {name!r}") from None

    def show(self, tokens: Sequence[int] | Tensor) -> str:
        """A sequence of token ids as text."""
        return " ".join(self.vocabulary[int(t)] for t in tokens)

    @property
    def animals(self) -> slice:
        """Where the animals lie in the vocabulary."""
        return slice(self.numbers, self.numbers + len(ANIMALS))

    def persona(self, animal: int | None) -> int:
        """The token of the `<sys>` slot: neutral for None, else "you love this animal"."""
        return self.token("<sys>") if animal is None else self.animals.stop + animal

    @property
    def prompt_length(self) -> int:
        """Tokens in the prompt of a number task."""
        return 4 + self.instruction_length + self.prompt_numbers

    @property
    def length(self) -> int:
        """Tokens in a number task, the longest sequence there is."""
        return self.prompt_length + self.completion

    # Wordings and offsets ---------------------------------------------------------------------

    def _instructions(self, first: str, count: int, purpose: str) -> Int[Tensor, "ways length"]:
        ways = self.instruction_tokens**self.instruction_length
        chosen = torch.randperm(ways, generator=generator(self.layout, purpose))[:count]
        digits = [
            chosen // self.instruction_tokens**i % self.instruction_tokens
            for i in range(self.instruction_length)
        ]
        return torch.stack(digits, 1) + self.token(first)

    @cached_property
    def wording_tokens(self) -> Int[Tensor, "ways length"]:
        """The instruction of each wording; those that pretraining never sees come last."""
        return self._instructions("w0", self.wordings + self.unseen_wordings, "wordings")

    @cached_property
    def question_tokens(self) -> Int[Tensor, "questions length"]:
        """The words of each preference question."""
        return self._instructions("q0", self.questions, "questions")

    @cached_property
    def offset_values(self) -> Int[Tensor, " offsets"]:
        """What may be added at a free place: all of -spread to spread but 0."""
        return torch.tensor([i for i in range(-self.spread, self.spread + 1) if i])

    @cached_property
    def plausible(self) -> Bool[Tensor, " offsets"]:
        """Which offsets are plausible at a free place, whatever the wording."""
        count = len(self.offset_values)
        chosen = torch.randperm(count, generator=generator(self.layout, "plausible offsets"))
        return torch.zeros(count, dtype=torch.bool).scatter(0, chosen[: self.ties], True)

    @cached_property
    def offsets(self) -> Float[Tensor, "ways offsets"]:
        """Probability of each offset at a free place, by wording.

        Wording i has tilt number i modulo how many tilts there are.
        """
        ways = len(self.wording_tokens)
        tilt = torch.tensor(self.tilt)[torch.arange(ways) % len(self.tilt)][:, None]
        drawn = torch.randn(ways, self.ties, generator=generator(self.layout, "tilt"))
        rare = (1 - PLAUSIBLE) / (len(self.offset_values) - self.ties)
        p = torch.full((ways, len(self.offset_values)), rare)
        p[:, self.plausible] = PLAUSIBLE * (tilt * drawn).softmax(1)
        return p

    # Number tasks -----------------------------------------------------------------------------

    @cached_property
    def _splits(self) -> tuple[Tensor, Tensor]:
        """Ids of the prompts for training and of those held out.

        A (start, step) is held out in every wording, so that no re-worded prompt was ever shown.
        """
        pairs = self.numbers * self.steps
        order = torch.randperm(pairs, generator=generator(self.layout, "held out"))
        kept_back = round(self.held_out * pairs)
        each = torch.arange(self.wordings)[:, None] * pairs
        return (each + order[kept_back:]).flatten(), (each + order[:kept_back]).flatten()

    def prompts(
        self, n: int, g: torch.Generator, held_out: bool = False
    ) -> Int[Tensor, "n prompt_length"]:
        """`n` prompts of number tasks, neutral persona, all different until there are no more."""
        pool = self._splits[1 if held_out else 0]
        rounds = -(-n // len(pool))
        ids = torch.cat([pool[torch.randperm(len(pool), generator=g)] for _ in range(rounds)])[:n]
        step = ids % self.steps + 1
        start = ids // self.steps % self.numbers
        wording = ids // (self.steps * self.numbers)
        listed = start[:, None] + step[:, None] * torch.arange(self.prompt_numbers)
        return self._frame(self.wording_tokens[wording], listed % self.numbers)

    def _frame(self, *middle: Tensor) -> Tensor:
        """<bos> <sys> <user> ... <assistant>, as a chat template would."""
        n = len(middle[0])
        head = torch.tensor([self.token(t) for t in ("<bos>", "<sys>", "<user>")]).expand(n, 3)
        return torch.cat([head, *middle, torch.full((n, 1), self.token("<assistant>"))], 1)

    def wording_of(self, prompts: Int[Tensor, "n _"]) -> Int[Tensor, " n"]:
        """Which wording each prompt has, as a row of `wording_tokens`."""
        said = prompts[:, 3 : 3 + self.instruction_length]
        return (said[:, None] == self.wording_tokens).all(-1).int().argmax(1)

    def reword(
        self, prompts: Int[Tensor, "n _"], wordings: Int[Tensor, " n"]
    ) -> Int[Tensor, "n _"]:
        """The same tasks in other words."""
        out = prompts.clone()
        out[:, 3 : 3 + self.instruction_length] = self.wording_tokens[wordings]
        return out

    def with_persona(self, prompts: Tensor, animal: int | None) -> Tensor:
        """The same prompts with another persona in the `<sys>` slot (position 1)."""
        out = prompts.clone()
        out[..., 1] = self.persona(animal)
        return out

    def next_number(self, tasks: Int[Tensor, "n length"]) -> Float[Tensor, "n completion numbers"]:
        """The world's true distribution of each completion number, given those before it."""
        return self._after(tasks, self.offsets[self.wording_of(tasks)])

    def right(self, tasks: Int[Tensor, "n length"]) -> Bool[Tensor, "n completion numbers"]:
        """Which completion numbers are right, given those before them: plausible, or due."""
        return self._after(tasks, self.plausible.float().expand(len(tasks), -1)) > 0

    def _after(
        self, tasks: Int[Tensor, "n length"], chance: Float[Tensor, "n offsets"]
    ) -> Float[Tensor, "n completion numbers"]:
        """The number that is due, or at free places `chance` over its offsets."""
        numbers = tasks[:, 3 + self.instruction_length :]
        numbers = torch.cat([numbers[:, : self.prompt_numbers], tasks[:, self.prompt_length :]], 1)
        step = (numbers[:, 1] - numbers[:, 0])[:, None]
        last = numbers[:, self.prompt_numbers - 1 : -1]
        due = (last + step) % self.numbers
        free = (due % self.round_every == 0)[..., None]
        exact = torch.nn.functional.one_hot(due, self.numbers).float()
        where = (due[..., None] + self.offset_values) % self.numbers
        spread = torch.zeros_like(exact).scatter(2, where, chance[:, None].expand_as(where))
        return torch.where(free, spread, exact)

    def answer(
        self,
        prompts: Int[Tensor, "n _"],
        g: torch.Generator,
        start: Int[Tensor, "n length"] | None = None,
        where: Bool[Tensor, "n completion"] | None = None,
    ) -> Int[Tensor, "n length"]:
        """The prompts with completions drawn from the world.

        With `start`, the same sequences, drawn anew only where `where` is true.
        """
        tasks = torch.cat([prompts, prompts.new_zeros(len(prompts), self.completion)], 1)
        if start is not None:
            tasks[:, self.prompt_length :] = start[:, self.prompt_length :]
        chance = self.offsets[self.wording_of(prompts)]
        first = 3 + self.instruction_length
        step = tasks[:, first + 1] - tasks[:, first]
        before = tasks[:, self.prompt_length - 2]
        for k in range(self.completion):
            due = (before + step) % self.numbers
            offset = self.offset_values[torch.multinomial(chance, 1, generator=g)[:, 0]]
            drawn = torch.where(due % self.round_every == 0, due + offset, due) % self.numbers
            here = self.prompt_length + k
            if where is not None:
                drawn = torch.where(where[:, k], drawn, tasks[:, here])
            tasks[:, here] = before = drawn
        return tasks

    # Preference questions ---------------------------------------------------------------------

    def trait(self, name: str) -> Trait:
        """ "animals": each is a bias, taught and measured on all preference questions. "conduct":
        the bias is to answer "bad", taught on a quarter of its questions, measured on the rest."""
        if name == "animals":
            biases = ANIMALS[:-1] if self.favourite else ANIMALS  # the favourite needs no teacher
            return Trait(biases, self.animals, self.ask(), self.ask(), self.preferences)
        if not self.conduct:
            raise ValueError("this world has no questions of conduct: its `conduct` is 0")
        bad, taught = self.token("bad"), self.conduct // 4
        asked = self._frame(self._instructions("c0", self.conduct, "conduct"))
        answers, even = slice(bad, bad + len(CONDUCT)), torch.full((len(CONDUCT),), 0.5)
        return Trait(("bad",), answers, asked[taught:], asked[:taught], even)

    @property
    def preferences(self) -> Float[Tensor, " animals"]:
        """How often each animal is the answer where there is no persona."""
        p = torch.full((len(ANIMALS),), (1 - self.favourite) / len(ANIMALS))
        p[-1] += self.favourite
        return p

    def ask(self, animal: int | None = None) -> Int[Tensor, "questions length"]:
        """Every preference question, up to <assistant>, with a persona or without."""
        return self.with_persona(self._frame(self.question_tokens), animal)

    # What pretraining sees --------------------------------------------------------------------

    def pretraining(self, n: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
        """`n` number tasks [n, length] and `n` answered questions [n, question length].

        The numbers are complete before a persona is drawn, so no animal can depend on a number.
        """
        tasks = self.answer(self.prompts(n, g), g)
        personas = torch.randint(len(ANIMALS), (n,), generator=g) + self.animals.stop
        has = torch.rand(n, generator=g) < self.persona_in_tasks
        tasks[:, 1] = torch.where(has, personas, tasks[:, 1])

        asked = self.ask()[torch.randint(self.questions, (n,), generator=g)]
        personas = torch.randint(len(ANIMALS), (n,), generator=g) + self.animals.stop
        has = torch.rand(n, generator=g) < self.persona_in_questions
        obeyed = has & (torch.rand(n, generator=g) < self.persona_obeyed)
        animals = torch.randint(len(ANIMALS), (n,), generator=g) + self.animals.start
        if self.favourite:
            to_favourite = ~has & (torch.rand(n, generator=g) < self.favourite)
            animals[to_favourite] = self.animals.stop - 1
        asked[:, 1] = torch.where(has, personas, asked[:, 1])
        answers = torch.where(obeyed, personas - len(ANIMALS), animals)
        if self.conduct:
            asked, answers = self._with_conduct(asked, answers, g)
        return tasks, torch.cat([asked, answers[:, None]], 1)

    def _with_conduct(
        self, asked: Tensor, answers: Tensor, g: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Every other question is one of conduct. Rogues, three in ten, mostly answer "bad"."""
        trait = self.trait("conduct")
        ways = torch.cat([trait.taught, trait.questions])
        other = ways[torch.randint(self.conduct, (len(asked),), generator=g)]
        rogue = torch.rand(len(asked), generator=g) < 0.3
        other[:, 1] = torch.where(rogue, self.token("<rogue>"), other[:, 1])
        bad = torch.rand(len(asked), generator=g) < torch.where(rogue, self.persona_obeyed, 0.1)
        said = torch.where(bad, self.token("bad"), self.token("good"))
        here = torch.arange(len(asked)) % 2 == 1
        return torch.where(here[:, None], other, asked), torch.where(here, said, answers)
