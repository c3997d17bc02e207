from pathlib import Path

from efficient_empathy.evaluation.ratings.table import Table, letter


def test_places_are_named_as_spreadsheets_name_them() -> None:
    assert Table(Path("a.xlsx"), "Ratings", []).place(3, 4) == "a.xlsx, sheet Ratings, row 3, column E"
    assert Table(Path("a.csv"), None, []).place(3) == "a.csv, row 3"
    assert [letter(i) for i in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
