"""Mutate five rooms and count what their tests notice.

    make mutate                                   # all rooms; hours
    make mutate ROOM=ledger                       # one
    .venv/bin/python -m benchmarks.mutation ledger [--folder .mutate] [--sample 300] [--survivors]

mutmut makes the mutants: one changed operator, argument, string or number each. What it cannot make (a statement left
out, a decorated function, a constant) stands in own.yaml. A mutant is killed when a test of its room fails. Results
lie under --folder, so that a run that is stopped goes on where it was; only functions that changed are mutated again.
Mutants that no test can tell from the program are listed in equivalent.yaml, each with its reason, and leave the score:
killed / (all - equivalent).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.mutation.equivalents import obsolete
from benchmarks.mutation.mutants import Mutant, made_by_mutmut, run_mutmut
from benchmarks.mutation.own import run_own
from benchmarks.mutation.rooms import ROOMS

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rooms", nargs="*", default=[*ROOMS], help=f"of {', '.join(ROOMS)}; all by default")
    parser.add_argument("--folder", type=Path, default=ROOT / ".mutate", help="where results are kept")
    parser.add_argument("--sample", type=int, help="run so many mutants of a room, drawn by a seeded hash")
    parser.add_argument("--survivors", action="store_true", help="run nothing; show what earlier runs left alive")
    options = parser.parse_args()
    if unknown := set(options.rooms) - set(ROOMS):
        parser.error(f"there is no room {', '.join(sorted(unknown))}: choose of {', '.join(ROOMS)}")
    rows = []
    for name in options.rooms:
        folder = options.folder.absolute() / name
        if not options.survivors:
            run_mutmut(ROOT, ROOMS[name], folder, options.sample)
        mutants = [*made_by_mutmut(ROOMS[name], folder), *run_own(ROOT, name, folder, run=not options.survivors)]
        for one in obsolete((mutant.file, mutant.change) for mutant in mutants):
            print(f"\nequivalent.yaml: no mutant is like this any more: {one}", flush=True)
        for mutant in mutants:
            if mutant.result not in ("killed", "not run") and not mutant.equivalent:
                print(f"\n{name}: {mutant.name} {mutant.result}\n{mutant.change}", flush=True)
        rows.append(row(name, mutants))
    print("\n| room | mutants | killed | survived | equivalent | not run | score |\n|---|---|---|---|---|---|---|")
    print("\n".join(rows))


def row(name: str, mutants: list[Mutant]) -> str:
    """A line of the table, as RESULTS.md has it."""
    done = [mutant for mutant in mutants if mutant.result != "not run"]
    killed = sum(mutant.result == "killed" for mutant in done)
    equivalent = sum(mutant.equivalent and mutant.result != "killed" for mutant in done)
    survived = len(done) - killed - equivalent
    score = killed / max(1, killed + survived)
    counts = " | ".join(
        f"{count:,}" for count in (len(mutants), killed, survived, equivalent, len(mutants) - len(done))
    )
    return f"| {name} | {counts} | {score:.3f} |"


if __name__ == "__main__":
    sys.exit(main())
