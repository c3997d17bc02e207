"""What is asked for: the cells that lack samples take turns, and so do the generators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heapify, heapreplace
from importlib.resources import files
from random import Random

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.yaml_text import read_yaml
from efficient_empathy.synthesis.generators import GENERATORS, Request, SampleGenerator
from efficient_empathy.synthesis.material import Material
from efficient_empathy.synthesis.plan import Cell
from efficient_empathy.synthesis.settings import SynthesisSettings

SEEDS_OF_CELL = 5
"""A cell with fewer seeds of its own takes those of its category, then those of its subset."""


_TRIES = 100
"""So many draws are tried for a request that is not like an earlier one."""


class Requests:
    """What is asked for, one after the other, without end: the same ones for the same material, settings and cells.

    Cells take turns by how many samples they lack, generators one after the other. A cell that has no seeds of its own
    borrows them, see `SEEDS_OF_CELL`.
    """

    def __init__(self, material: Material, settings: SynthesisSettings, cells: Sequence[Cell]) -> None:
        self._material, self._settings = material, settings
        self.cells = [cell for cell in cells if cell.wanted]
        self.generators = {name: load_generator(name, settings) for name in dict.fromkeys(settings.generators)}
        personas: list[str] = read_yaml(files(__package__) / "personas.yaml")
        self._personas = personas
        self._pools: dict[tuple[str, str | None, str], list[int]] = {}

    def __iter__(self) -> Iterator[Request]:
        draws: Counter[tuple[str, Cell]] = Counter()
        asked: set[tuple[object, ...]] = set()
        names = list(self.generators)
        for number, cell in enumerate(self._turns()):
            name = names[number % len(names)]
            for _ in range(_TRIES):
                request = self._request(name, cell, draws[name, cell])
                draws[name, cell] += 1
                if (question := _question(request)) not in asked:
                    break
            asked.add(question)
            yield request

    def _turns(self) -> Iterator[Cell]:
        """The cells as they fill up, the lowest first, each as often as it lacks samples; then the same again.

        A call for more samples begins like one for fewer, so that it asks for little that is not there yet.
        """
        heights = [(cell.real, place) for place, cell in enumerate(self.cells)]
        heapify(heights)
        order = []
        for _ in range(sum(cell.wanted for cell in self.cells)):
            height, place = heights[0]
            order.append(self.cells[place])
            heapreplace(heights, (height + 1, place))
        while True:
            yield from order

    def _request(self, name: str, cell: Cell, draw: int) -> Request:
        generator, settings = self.generators[name], self._settings
        random = Random(f"{settings.seed}\0{name}\0{cell.category}\0{cell.subset}\0{draw}")
        low, high = settings.rounds_range
        request = Request(
            generator=name,
            category=cell.category,
            subset=cell.subset,
            lines=2 * random.randint(low, high),
            words=settings.max_response_words,
            draw=draw,
        )
        if generator.seeds == "none":
            return replace(request, persona=random.choice(self._personas))
        pool = self._pool(generator, cell)
        place = pool[draw % len(pool)]
        seed = self._material.sample(place)
        examples: tuple[Sample, ...] = ()
        if generator.seeds == "category":
            others = [one for one in self._pool(self.generators[name], cell, manner=True) if one != place]
            chosen = random.sample(others, min(settings.examples, len(others)))
            examples = tuple(self._material.sample(one) for one in chosen)
        reason = self._material.scores_text(place) if generator.seeds == "discard" else ""
        return replace(request, seed=seed, examples=examples, reason=reason)

    def _pool(self, generator: SampleGenerator, cell: Cell, *, manner: bool = False) -> list[int]:
        """The rows that a cell's seeds come from, or with `manner` the examples of its subset."""
        key = ("manner" if manner else generator.seeds, cell.category, cell.subset)
        if key not in self._pools:
            self._pools[key] = self._find(key[0], cell)
        return self._pools[key]

    def _find(self, kind: str, cell: Cell) -> list[int]:
        places, category = self._material.places, cell.category
        if kind == "discard":
            choices = [
                places(subset=self._material.otherwise, category=category),
                places(subset=self._material.otherwise, any_category=True),
            ]
        elif kind == "category":
            choices = [places(category=category), places(any_category=True)]
        else:
            choices = [places(subset=cell.subset, category=category)]
            if kind == "subset":
                choices.append(places(category=category))
            choices.append(places(subset=cell.subset, any_category=True))
        for rows in choices[:-1]:
            if len(rows) >= SEEDS_OF_CELL:
                return rows
        rows = max(choices, key=len)
        if not rows:
            what = "no discarded sample" if kind == "discard" else "no selected sample"
            raise UserError(f"the run has {what} in its training part, so there is nothing to start from")
        return rows


def _question(request: Request) -> tuple[object, ...]:
    """What the model is asked, as far as requests of one run differ in it."""
    seed = request.seed.id if request.seed else (request.category, request.persona)
    return request.generator, seed, request.lines, tuple(one.id for one in request.examples)


def load_generator(name: str, settings: SynthesisSettings) -> SampleGenerator:
    """The generator of that name with its prompt. Raises `UserError`."""
    return GENERATORS.load(name)(settings.prompts.get(name))
