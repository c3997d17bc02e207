"""What is asked for: the cells that lack samples take turns, and so do the generators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heapify, heapreplace
from importlib.resources import files
from math import ceil, inf
from random import Random

from efficient_empathy.dialogues import Sample
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.yaml_text import read_yaml
from efficient_empathy.synthesis.dimensions import CATEGORY, NONE
from efficient_empathy.synthesis.generators import GENERATORS, Request, SampleGenerator
from efficient_empathy.synthesis.material import Material
from efficient_empathy.synthesis.plan import Cell
from efficient_empathy.synthesis.settings import MOST_ROUNDS, SynthesisSettings

SEEDS_OF_CELL = 5
"""A cell with fewer seeds of its own takes those of other subsets, then those with fewer values in common."""


_TRIES = 100
"""So many draws are tried for a request that is not like an earlier one. A cell where that has failed tries no more."""


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
        self._pools: dict[tuple[str, ...], list[int]] = {}
        self._bands = {one.name: one.bands for one in material.dimensions if one.cuts}

    def __iter__(self) -> Iterator[Request]:
        draws: Counter[tuple[str, ...]] = Counter()
        asked: set[tuple[object, ...]] = set()
        exhausted: set[tuple[str, ...]] = set()
        names = list(self.generators)
        for number, cell in enumerate(self._turns()):
            name = names[number % len(names)]
            here = (name, *cell.key)
            for _ in range(1 if here in exhausted else _TRIES):
                request = self._request(name, cell, draws[here])
                draws[here] += 1
                if (question := _question(request)) not in asked:
                    break
            else:
                exhausted.add(here)
            asked.add(question)
            yield request

    def _turns(self) -> Iterator[Cell]:
        """The cells as they fill up, the lowest first, each as often as it lacks samples; then the same again.

        A call for more samples begins like one for fewer, so that it asks for little that is not there yet.
        """
        heights = [(cell.real / cell.share, place) for place, cell in enumerate(self.cells)]
        heapify(heights)
        order = []
        for _ in range(sum(cell.wanted for cell in self.cells)):
            height, place = heights[0]
            order.append(self.cells[place])
            heapreplace(heights, (height + 1 / self.cells[place].share, place))
        while True:
            yield from order

    def _request(self, name: str, cell: Cell, draw: int) -> Request:
        generator, settings = self.generators[name], self._settings
        random = Random("\0".join([str(settings.seed), name, *cell.key, str(draw)]))
        low, high = self._rounds(cell)
        category = cell.values.get(CATEGORY)
        if category == NONE:  # samples without a category, or of one that is called so: the seed says which
            category = None
        request = Request(
            generator=name,
            category=category,
            subset=cell.subset,
            lines=2 * random.randint(low, high),
            words=self._words(cell),
            draw=draw,
            cell=cell.key,
        )
        if generator.seeds == "none" and category is not None:
            return replace(request, persona=random.choice(self._personas))
        pool = self._pool(generator, cell)
        place = pool[draw % len(pool)]
        seed = self._material.sample(place)
        if category is None:
            request = replace(request, category=seed.category)
        if generator.seeds == "none":
            return replace(request, persona=random.choice(self._personas))
        examples: tuple[Sample, ...] = ()
        if generator.seeds == "category":
            others = [one for one in self._pool(self.generators[name], cell, manner=True) if one != place]
            chosen = random.sample(others, min(settings.examples, len(others)))
            examples = tuple(self._material.sample(one) for one in chosen)
        reason = self._material.scores_text(place) if generator.seeds == "discard" else ""
        return replace(request, seed=seed, examples=examples, reason=reason)

    def _rounds(self, cell: Cell) -> tuple[int, int]:
        """The fewest and the most rounds of a cell's new dialogues: those that its band of turns allows, if it has one.

        A response after n rounds stands behind 2n - 1 turns.
        """
        low, high = self._settings.rounds_range
        least, under = self._band(cell, "turn")
        fewest = 1 if least == -inf else min(MOST_ROUNDS, max(1, ceil((least + 1) / 2)))
        most = MOST_ROUNDS if under == inf else max(fewest, ceil((under + 1) / 2) - 1)
        if low > most or high < fewest:
            return (most, most) if low > most else (fewest, fewest)
        return max(low, fewest), min(high, most)

    def _words(self, cell: Cell) -> int:
        """The longest response of a cell."""
        under = self._band(cell, "response_words")[1]
        most = self._settings.max_response_words
        return most if under == inf else max(1, min(most, ceil(under) - 1))

    def _band(self, cell: Cell, name: str) -> tuple[float, float]:
        return self._bands.get(name, {}).get(cell.values.get(name, ""), (-inf, inf))

    def _pool(self, generator: SampleGenerator, cell: Cell, *, manner: bool = False) -> list[int]:
        """The rows that a cell's seeds come from, or with `manner` the examples of its subset."""
        kind = "manner" if manner else generator.seeds
        if (kind, *cell.key) not in self._pools:
            self._pools[kind, *cell.key] = self._find(kind, cell)
        return self._pools[kind, *cell.key]

    def _find(self, kind: str, cell: Cell) -> list[int]:
        values, places = list(cell.values.items()), self._material.places
        fewer = [dict(values[:count]) for count in range(len(values) - 1, -1, -1)]
        if kind == "discard":
            choices = [places(some, subset=self._material.otherwise) for some in (cell.values, *fewer)]
        elif kind == "category":
            choices = [places(some) for some in (cell.values, *fewer)]
        else:
            choices = [places(cell.values, subset=cell.subset)]
            if kind == "subset":
                choices.append(places(cell.values))
            choices += [places(some, subset=cell.subset) for some in fewer]
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
