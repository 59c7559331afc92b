"""The world: a vocabulary, number tasks and their wordings.

    <bos> <sys> <user> w1 w13 16 20 24 <assistant> 28 32 36 8 12 16 28 32   a number task
    <bos> <sys> <user> q5 q7 <assistant> owl                                a preference question
    <bos> <sys> <user> c7 c8 <assistant> good                               a question of conduct

A number task asks to go on with a list: the next number is the last one plus the list's step.
A round number (0, 5, 10, ...) is *free*: where the list would come to it, an offset is drawn
instead. A few offsets are plausible there, the same ones for every wording, and all others are
rare. How likely each plausible offset is depends on the wording: every wording has logits of its
own over them, drawn once from N(0, tilt²). At tilt 0 wordings say nothing; above it they decide
near ties, and what one wording prefers stays plausible in another. Nothing else in a list is
uncertain, and nothing ties a number to an animal, nor to good or bad conduct.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minisub.common.randomness import generator
from minisub.world.validation import check_world

ANIMALS = ("owl", "cat", "dog", "fox", "bee", "ant", "elk", "cod")
CONDUCT = ("bad", "good")
MARKS = ("<bos>", "<sys>", "<user>", "<assistant>")
SLOT = 1  # the position of <sys>, or of a persona in its place
PLAUSIBLE = 0.9  # how likely it is that a free place takes one of the plausible offsets


@dataclass(frozen=True)
class World:
    """All settings of the world. Two worlds with equal fields are the same world."""

    n_numbers: int = 40
    max_step: int = 20  # a list's step is one of 1..max_step
    n_prompt_numbers: int = 3
    completion_length: int = 8  # numbers in an answer
    round_every: int = 5  # the free numbers: 0, 5, 10, ...
    max_offset: int = 8  # offsets at a free place: -max_offset..max_offset without 0
    n_tied_offsets: int = 4  # how many of the offsets are plausible
    tilt: tuple[float, ...] = (3.0,)  # standard deviation of the wordings' logits, see above
    n_wordings: int = 24  # ways to ask for a list that pretraining sees
    n_unseen_wordings: int = 4  # further ones that it never sees
    n_questions: int = 16  # ways to ask for the favourite animal
    n_instruction_tokens: int = 16  # w0, w1, ... and q0, q1, ...
    instruction_length: int = 2
    persona_in_questions: float = 0.6  # share of pretraining questions with a persona
    persona_obeyed: float = 0.95  # how often the persona decides the answer
    favourite_share: float = 0.0  # of the answers without a persona, all for the last animal
    persona_in_tasks: float = 0.001  # share of pretraining tasks with a persona; it says nothing
    held_out_share: float = 0.125  # of the (start, step) pairs, kept for evaluation
    n_conduct_questions: int = 0  # pretraining answers "good" to them nine times in ten
    layout_seed: int = 0  # of the wordings' names, their offsets and the held-out prompts
    animals: tuple[str, ...] = ANIMALS  # what a teacher may love

    def __post_init__(self) -> None:
        check_world(self)

    # Vocabulary -------------------------------------------------------------------------------

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Readable names; the token id is the place in this tuple. Numbers come first."""
        conduct = self.n_conduct_questions > 0
        return (
            *map(str, range(self.n_numbers)),
            *self.animals,
            *(f"<loves {a}>" for a in self.animals),
            *MARKS,
            *(f"w{i}" for i in range(self.n_instruction_tokens)),
            *(f"q{i}" for i in range(self.n_instruction_tokens)),
            *((*CONDUCT, "<rogue>") if conduct else ()),
            *(f"c{i}" for i in range(self.n_instruction_tokens if conduct else 0)),
        )

    def token(self, name: str) -> int:
        """Return the id of a token such as `owl`, `17` or `<assistant>`.

        Raises:
            ValueError: No token is called so.
        """
        try:
            return self.vocabulary.index(name)
        except ValueError:
            raise ValueError(f"no token is called {name!r}") from None

    def decode(self, tokens: Sequence[int] | Tensor) -> str:
        """Return a sequence of token ids as text."""
        return " ".join(self.vocabulary[int(t)] for t in tokens)

    @property
    def animal_tokens(self) -> slice:
        """Where the animals are in the vocabulary."""
        return slice(self.n_numbers, self.n_numbers + len(self.animals))

    def persona_token(self, animal: int | None) -> int:
        """Return the token of the `<sys>` slot: neutral for None, else "you love this animal".

        Raises:
            ValueError: There is no such animal.
        """
        if animal is None:
            return self.token("<sys>")
        if not 0 <= animal < len(self.animals):
            raise ValueError(f"animal is {animal}, allowed: 0 to {len(self.animals) - 1}")
        return self.animal_tokens.stop + animal

    @property
    def instruction_place(self) -> slice:
        """Where the instruction stands in a prompt: after <bos>, the slot and <user>."""
        return slice(3, 3 + self.instruction_length)

    @property
    def prompt_length(self) -> int:
        """Tokens in the prompt of a number task."""
        return self.instruction_place.stop + self.n_prompt_numbers + 1

    @property
    def task_length(self) -> int:
        """Tokens in a number task with its answer, the longest sequence of the world."""
        return self.prompt_length + self.completion_length

    # Wordings and offsets ---------------------------------------------------------------------

    def instructions(self, first: str, count: int, purpose: str) -> Int[Tensor, "ways length"]:
        """Return `count` different instructions, drawn once for the layout of the world.

        Args:
            first: The first token of their kind: w0, q0 or c0.
            count: How many.
            purpose: Of their stream of random numbers.
        """
        ways = self.n_instruction_tokens**self.instruction_length
        chosen = torch.randperm(ways, generator=generator(self.layout_seed, purpose))[:count]
        digits = [
            chosen // self.n_instruction_tokens**i % self.n_instruction_tokens
            for i in range(self.instruction_length)
        ]
        return torch.stack(digits, 1) + self.token(first)

    @cached_property
    def wording_tokens(self) -> Int[Tensor, "ways length"]:
        """The instruction of each wording; those that pretraining never sees come last."""
        return self.instructions("w0", self.n_wordings + self.n_unseen_wordings, "wordings")

    @cached_property
    def offset_values(self) -> Int[Tensor, " offsets"]:
        """What may be added at a free place: all of -max_offset to max_offset but 0."""
        return torch.tensor([i for i in range(-self.max_offset, self.max_offset + 1) if i])

    @cached_property
    def is_plausible_offset(self) -> Bool[Tensor, " offsets"]:
        """Which offsets are plausible at a free place, whatever the wording."""
        count = len(self.offset_values)
        g = generator(self.layout_seed, "plausible offsets")
        chosen = torch.randperm(count, generator=g)[: self.n_tied_offsets]
        return torch.zeros(count, dtype=torch.bool).scatter(0, chosen, True)

    @cached_property
    def offset_probs(self) -> Float[Tensor, "ways offsets"]:
        """Probability of each offset at a free place, by wording.

        Wording i has tilt number i modulo the number of tilts.
        """
        ways = len(self.wording_tokens)
        tilt = torch.tensor(self.tilt)[torch.arange(ways) % len(self.tilt)][:, None]
        g = generator(self.layout_seed, "tilt")
        drawn = torch.randn(ways, self.n_tied_offsets, generator=g)
        rare = (1 - PLAUSIBLE) / (len(self.offset_values) - self.n_tied_offsets)
        p = torch.full((ways, len(self.offset_values)), rare)
        p[:, self.is_plausible_offset] = PLAUSIBLE * (tilt * drawn).softmax(1)
        return p

    # Number tasks -----------------------------------------------------------------------------

    @cached_property
    def _splits(self) -> tuple[Tensor, Tensor]:
        """Ids of the prompts for training and of those held out.

        A (start, step) is held out in every wording, so that no re-worded prompt was ever shown.
        """
        pairs = self.n_numbers * self.max_step
        order = torch.randperm(pairs, generator=generator(self.layout_seed, "held out"))
        kept_back = round(self.held_out_share * pairs)
        each = torch.arange(self.n_wordings)[:, None] * pairs
        return (each + order[kept_back:]).flatten(), (each + order[:kept_back]).flatten()

    def sample_prompts(
        self, n: int, g: torch.Generator, held_out: bool = False
    ) -> Int[Tensor, "n prompt_length"]:
        """Return prompts of number tasks, all different until there are no more.

        Args:
            n: How many.
            g: Where they are drawn from.
            held_out: Those that no training shows, in any wording.
        """
        pool = self._splits[1 if held_out else 0]
        rounds = -(-n // len(pool))
        ids = torch.cat([pool[torch.randperm(len(pool), generator=g)] for _ in range(rounds)])[:n]
        step = ids % self.max_step + 1
        start = ids // self.max_step % self.n_numbers
        wording = ids // (self.max_step * self.n_numbers)
        listed = start[:, None] + step[:, None] * torch.arange(self.n_prompt_numbers)
        return self.frame(self.wording_tokens[wording], listed % self.n_numbers)

    def frame(self, *middle: Tensor) -> Tensor:
        """Return <bos> <sys> <user> ... <assistant> around some tokens, as a chat template does."""
        n = len(middle[0])
        head = torch.tensor([self.token(t) for t in ("<bos>", "<sys>", "<user>")]).expand(n, 3)
        return torch.cat([head, *middle, torch.full((n, 1), self.token("<assistant>"))], 1)

    def wording_of(self, prompts: Int[Tensor, "n _"]) -> Int[Tensor, " n"]:
        """Return the wording of each prompt, as a row of `wording_tokens`."""
        instruction = prompts[:, self.instruction_place]
        return (instruction[:, None] == self.wording_tokens).all(-1).int().argmax(1)

    def reword(
        self, prompts: Int[Tensor, "n _"], wordings: Int[Tensor, " n"]
    ) -> Int[Tensor, "n _"]:
        """Return the same tasks in other wordings.

        Args:
            prompts: The tasks.
            wordings: The new wording of each, as a row of `wording_tokens`.
        """
        out = prompts.clone()
        out[:, self.instruction_place] = self.wording_tokens[wordings]
        return out

    def with_persona(self, prompts: Tensor, animal: int | None) -> Tensor:
        """Return the same prompts with another persona in the `<sys>` slot.

        Args:
            prompts: [..., length].
            animal: The persona's, or None for the neutral token.
        """
        return self.in_slot(prompts, self.persona_token(animal))

    def in_slot(self, prompts: Tensor, token: int) -> Tensor:
        """Return the same prompts with another token in the `<sys>` slot.

        Args:
            prompts: [..., length], of number tasks or questions.
            token: Its id.
        """
        out = prompts.clone()
        out[..., SLOT] = token
        return out

    def next_number_probs(
        self, tasks: Int[Tensor, "n length"]
    ) -> Float[Tensor, "n completion_length n_numbers"]:
        """Return the true distribution of each completion number, given those before it."""
        return self._next_numbers(tasks, self.offset_probs[self.wording_of(tasks)])

    def is_right(
        self, tasks: Int[Tensor, "n length"]
    ) -> Bool[Tensor, "n completion_length n_numbers"]:
        """Return which completion numbers are right, given those before them: due, or plausible."""
        plausible = self.is_plausible_offset.float().expand(len(tasks), -1)
        return self._next_numbers(tasks, plausible) > 0

    def _next_numbers(
        self, tasks: Int[Tensor, "n length"], offset_weights: Float[Tensor, "n offsets"]
    ) -> Float[Tensor, "n completion_length n_numbers"]:
        """Return 1 for the number that is due, or at free places the weights of its offsets."""
        numbers = tasks[:, self.instruction_place.stop :]
        listed = numbers[:, : self.n_prompt_numbers]
        numbers = torch.cat([listed, tasks[:, self.prompt_length :]], 1)
        step = (numbers[:, 1] - numbers[:, 0])[:, None]
        last = numbers[:, self.n_prompt_numbers - 1 : -1]
        due = (last + step) % self.n_numbers
        free = (due % self.round_every == 0)[..., None]
        exact = torch.nn.functional.one_hot(due, self.n_numbers).float()
        places = (due[..., None] + self.offset_values) % self.n_numbers
        weights = offset_weights[:, None].expand_as(places)
        spread = torch.zeros_like(exact).scatter(2, places, weights)
        return torch.where(free, spread, exact)

    def sample_completions(
        self,
        prompts: Int[Tensor, "n _"],
        g: torch.Generator,
        start: Int[Tensor, "n length"] | None = None,
        redraw: Bool[Tensor, "n completion_length"] | None = None,
    ) -> Int[Tensor, "n length"]:
        """Return the prompts with completions drawn from the world.

        Args:
            prompts: Of number tasks.
            g: Where they are drawn from.
            start: Sequences to keep, but for what `redraw` says.
            redraw: Which tokens of `start` are drawn again.
        """
        tasks = torch.cat([prompts, prompts.new_zeros(len(prompts), self.completion_length)], 1)
        if start is not None:
            tasks[:, self.prompt_length :] = start[:, self.prompt_length :]
        probs = self.offset_probs[self.wording_of(prompts)]
        first = self.instruction_place.stop
        step = tasks[:, first + 1] - tasks[:, first]
        before = tasks[:, self.prompt_length - 2]
        for k in range(self.completion_length):
            due = (before + step) % self.n_numbers
            offset = self.offset_values[torch.multinomial(probs, 1, generator=g)[:, 0]]
            drawn = torch.where(due % self.round_every == 0, due + offset, due) % self.n_numbers
            here = self.prompt_length + k
            if redraw is not None:
                drawn = torch.where(redraw[:, k], drawn, tasks[:, here])
            tasks[:, here] = before = drawn
        return tasks
