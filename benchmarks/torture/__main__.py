"""Kill every stage and the studio, run them again, and count what is lost, paid twice, half written or wrong.

    python -m benchmarks.torture [--kills 1000] [--seed 0] [--stages score,mix] [--folder DIR]

Half of the kills are at moments that the process itself knows (before a write, rename, removal, sync, SQL statement),
half at random times. What was done is kept in DIR/kills.jsonl: the same command goes on from there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

OFFLINE = {
    "OPENAI_API_KEY": "torture-key-that-is-none", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "COLUMNS": "200",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", help="only these, by name, separated by commas")
    parser.add_argument("--lanes", type=int, default=2, help="processes that kill side by side")
    parser.add_argument("--folder", type=Path, help="where runs and results lie; a new one by default")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="torture-"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= OFFLINE | {"HF_HOME": str(folder / "huggingface"), "XDG_DATA_HOME": str(folder / "data")}
    from benchmarks.torture.grid import Grid  # the environment comes first

    grid = Grid(folder, options.kills, options.seed, options.stages.split(",") if options.stages else None)
    grid.run(options.lanes)
    table, bad = grid.table()
    print(table)
    if options.folder is None and not bad:
        shutil.rmtree(folder)
    else:
        print(f"All of it: {folder}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
