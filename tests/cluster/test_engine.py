"""The whole of it on real Ray, as small as it can be; what takes longer is in `test_machines.py`."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from efficient_empathy import score
from efficient_empathy.dialogues import write_samples
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok
from ray_clusters import needs_ray, this_process_on_a_cluster
from scored_runs import numbered

pytestmark = needs_ray
KEY = "sk-nobody-may-read-this"


@pytest.fixture(scope="module")
def logs() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        with this_process_on_a_cluster() as folder:
            yield folder


def by_text(body: dict[str, Any], number: int) -> Behaviour:
    """Scores that follow from the text alone; one text gets none."""
    digest = hashlib.sha256(body["messages"][-1]["content"].encode()).digest()
    if "my keys 7\n" in body["messages"][-1]["content"]:
        return ok("I would rather not say.")
    return ok(f'{{"sensibility": {digest[0] % 11}, "rationality": {digest[1] % 11}}}')


def test_the_same_scores_as_on_one_machine_within_one_window_and_one_budget(logs: str, tmp_path: Path) -> None:
    source = tmp_path / "samples.parquet"
    write_samples([numbered(i) for i in (*range(150), 3, 4)], source)
    with MisbehavingServer(by_text, latency_s=0.02) as server:
        options = {"base_url": server.url, "concurrency": 6, "max_cost": 1.0}
        one = score(source, tmp_path / "one", judge="openai:gpt-4o-mini", options=options, quiet=True)
        asked = Counter(map(str, server.requests))
        server.requests.clear()
        server.max_concurrent = 0
        two = score(source, tmp_path / "two", judge="openai:gpt-4o-mini", options=options, cluster="ray", quiet=True)
        assert server.max_concurrent <= 6
        assert Counter(map(str, server.requests)) == asked
    assert two.equals(one)
    assert two["state"].value_counts().sort("state").rows() == [("ok", 151), ("parse_error", 1)]
    assert pl.read_parquet(tmp_path / "two" / "ledger.parts" / "*.parquet").height == 150
    assert not (tmp_path / "two" / "cluster").exists()
    files = [path for path in (*Path(logs).rglob("*"), *(tmp_path / "two").rglob("*")) if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
