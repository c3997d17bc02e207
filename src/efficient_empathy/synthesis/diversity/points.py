"""Rows to pick from, in the order in which ties are broken, and what of them float32 may get wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from efficient_empathy.foundation.errors import UserError

Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
Ties = npt.NDArray[np.uint64]
_TOLERANCE = 0.001
_MOST_COLUMNS = 2**16
_AT_ONCE = 4096


@dataclass(frozen=True)
class Points:
    """Centres, which are taken already, then the rows to pick from, those of the lowest tie first."""

    table: Rows
    """Shape (centers + n, width + 1): the rows, and a last column of ones, for products that add a number to each row
    or column."""
    squares: Rows
    """Shape (centers + n,): the square lengths, 1 but for rounding."""
    centers: int
    places: Places
    """Shape (n,): where each row stood in what was passed in."""

    @classmethod
    def of(cls, rows: Floats, ties: Ties | None = None, centers: Floats | None = None) -> Points:
        """From rows of length 1; they come in the order of `ties` (such as `tie_hash`), else as they stand.

        Raises `UserError` for what is no table of finite rows of length 1.
        """
        _check(rows, "rows to thin")
        if ties is not None and len(ties) != len(rows):
            raise UserError(f"there are {len(rows):,} rows and {len(ties):,} ties: one is needed for each row")
        before = 0
        if centers is not None:
            _check(centers, "centres")
            if centers.shape[1] != rows.shape[1]:
                raise UserError(f"rows have {rows.shape[1]} columns and centres {centers.shape[1]}: embed both alike")
            before = len(centers)
        places = np.arange(len(rows)) if ties is None else np.argsort(ties, kind="stable")
        table = np.ones((before + len(rows), rows.shape[1] + 1), np.float32)
        if centers is not None:
            table[:before, :-1] = centers
        for start in range(0, len(rows), _AT_ONCE):  # not all at once, which would make one more copy
            table[before + start : before + start + _AT_ONCE, :-1] = rows[places[start : start + _AT_ONCE]]
        squares = np.einsum("ij,ij->i", table, table, dtype=np.float64) - 1
        return cls(table, squares.astype(np.float32), before, places)

    @property
    def rows(self) -> Rows:
        """The part of the table to pick from, shape (n, width + 1)."""
        return self.table[self.centers :]

    @property
    def error(self) -> float:
        """A square distance by products in float32 is off by less: width · 2**-24 of three numbers near 1, and more."""
        return float(self.table.shape[1]) / 2**22 + 1e-6


def require_size(size: int, rows: Floats) -> None:
    """Raise `UserError` unless so many of the rows can be picked."""
    if not 1 <= size <= len(rows):
        raise UserError(f"cannot pick {size:,} of {len(rows):,} rows: a size is from 1 to {len(rows):,}")


def _check(rows: Floats, what: str) -> None:
    if rows.ndim != 2 or not 0 < rows.shape[1] <= _MOST_COLUMNS:
        raise UserError(f"{what} are a table of numbers, one row a sample: these have the shape {rows.shape}")
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= _TOLERANCE))
    if len(wrong):
        length = lengths[wrong[0]]
        fault = f"the length {length:.4g}" if np.isfinite(length) else "a number that is not finite"
        raise UserError(f"of {what}, {len(wrong):,} do not have length 1: row {wrong[0]} has {fault}")
