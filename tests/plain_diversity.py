"""What `synthesis.diversity` must agree with, written as plainly as can be."""

from __future__ import annotations

import numpy as np

GRID = 2.0**24


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; one of zeros becomes the first axis."""
    rows = rows.astype(np.float64)
    rows[~rows.any(1), 0] = 1
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def on_grid(rows: np.ndarray) -> np.ndarray:
    """Whole numbers of 2**-24: their square distances are exact in float64."""
    return np.rint(rows.astype(np.float64) * GRID)


def plain_k_center(
    rows: np.ndarray, size: int, ties: np.ndarray, centers: np.ndarray | None
) -> tuple[list[int], list[float], float]:
    """Order, distances and radius: the farthest row, the lowest tie and then the first among equal ones."""
    grid = on_grid(rows)
    nearest = np.full(len(rows), np.inf)
    for center in [] if centers is None else on_grid(centers):
        nearest = np.minimum(nearest, ((grid - center) ** 2).sum(1))
    rank = np.argsort(np.argsort(ties, kind="stable"), kind="stable")
    order: list[int] = []
    distances: list[float] = []
    for _ in range(size):
        farthest = nearest.copy()
        farthest[order] = -1
        best = min(np.flatnonzero(farthest == farthest.max()), key=lambda row: rank[row])
        order.append(int(best))
        distances.append(float(np.sqrt(nearest[best]) / GRID))
        nearest = np.minimum(nearest, ((grid - grid[best]) ** 2).sum(1))
    return order, distances, float(np.sqrt(nearest.max()) / GRID)


def plain_facility_location(
    rows: np.ndarray, size: int, ties: np.ndarray, centers: np.ndarray | None
) -> tuple[list[int], list[float]]:
    """Order and values: the row that adds most, the lowest tie and then the first among equal ones."""
    rows = rows.astype(np.float64)
    similarity = rows @ rows.T
    nearest = np.full(len(rows), -1.01)
    if centers is not None:
        nearest = np.maximum(nearest, (rows @ centers.T.astype(np.float64)).max(1))
    rank = np.argsort(np.argsort(ties, kind="stable"), kind="stable")
    order: list[int] = []
    values: list[float] = []
    for _ in range(size):
        gains = np.maximum(similarity - nearest[:, None], 0).sum(0).round(9)
        left = [row for row in range(len(rows)) if row not in order]
        best = min(left, key=lambda row: (-gains[row], rank[row]))
        order.append(best)
        nearest = np.maximum(nearest, similarity[:, best])
        values.append(float((nearest.mean() + 1) / 2))
    return order, values
