from pathlib import Path

import numpy as np

from efficient_empathy.evaluation.cache import load_or_count


def test_the_same_is_counted_once_and_another_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def count() -> np.ndarray:
        calls.append("")
        return np.array([[0.1, 2.0], [1 / 3, np.nan]])

    first = load_or_count(tmp_path, "ppl", ["model", ["a", "b"]], ("nll", "tokens"), count)
    again = load_or_count(tmp_path, "ppl", ["model", ["a", "b"]], ("nll", "tokens"), count)
    assert np.array_equal(first, again, equal_nan=True)
    assert len(calls) == 1
    load_or_count(tmp_path, "ppl", ["model", ["a", "c"]], ("nll", "tokens"), count)
    assert len(calls) == 2


def test_a_damaged_file_is_counted_anew(tmp_path: Path) -> None:
    load_or_count(tmp_path, "ppl", [1], ("nll",), lambda: np.ones((2, 1)))
    (file,) = (tmp_path / ".evaluation").iterdir()
    file.write_bytes(b"PAR1 broken")
    assert load_or_count(tmp_path, "ppl", [1], ("nll",), lambda: np.full((2, 1), 5.0)).tolist() == [[5], [5]]
    assert load_or_count(tmp_path, "ppl", [1], ("nll",), lambda: np.zeros((2, 1))).tolist() == [[5], [5]]


def test_without_a_folder_nothing_is_kept() -> None:
    assert load_or_count(None, "ppl", [1], ("nll",), lambda: np.ones((1, 1))).tolist() == [[1]]
    assert load_or_count(None, "ppl", [1], ("nll",), lambda: np.zeros((1, 1))).tolist() == [[0]]
