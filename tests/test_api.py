import json

import polars as pl
import pytest

import efficient_empathy as ee
from samples import FORM


def test_the_notebook_face_mirrors_the_commands(tmp_path) -> None:
    rows = [{"context": f"story {i}", "response": "oh", "evaluation": FORM.format(8, i % 8)} for i in range(16)]
    source = tmp_path / "judged.json"
    source.write_text(json.dumps(rows), "utf-8")
    assert ee.read(source).height == 16
    assert ee.inspect_source(source).format == "judged"
    scores = ee.score(source, tmp_path / "run", judge="replay", quiet=True)
    assert scores["sensibility"].to_list() == [8.0] * 16
    subsets = ee.select(tmp_path / "run", beta=6)
    assert subsets.filter(pl.col("rationality") == 7)["subset"].unique().to_list() == ["rationality"]
    assert ee.write_report(tmp_path / "run").exists()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="scrore"):
        ee.scrore  # noqa: B018
