"""What a Parquet file says of its size before any of it is unpacked: its footer, in Thrift's compact protocol.

https://github.com/apache/parquet-format has the structures, and Thrift's compact protocol the bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_MOST_BYTES = 64 * 2**20
_MOST_DEPTH = 20
_ROWS, _ROW_GROUPS, _TOTAL_BYTES, _GROUP_ROWS = 3, 4, 2, 3
"""Field numbers, of FileMetaData and of RowGroup."""


def declared_size(path: Path) -> tuple[int, int]:
    """How many bytes a file's row groups have without compression and how many rows, as it says; 0 where it says
    nothing readable."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        length = int.from_bytes(file.read(4), "little")
        if length > min(size - 8, _MOST_BYTES):
            return 0, 0
        file.seek(size - 8 - length)
        footer = _Footer(file.read(length))
    try:
        whole = footer.struct(0)
        groups = whole.get(_ROW_GROUPS, [])
        size, rows = (sum(max(0, group.get(field, 0)) for group in groups) for field in (_TOTAL_BYTES, _GROUP_ROWS))
        return size, max(rows, whole.get(_ROWS, 0))
    except (IndexError, ValueError, TypeError, AttributeError):
        return 0, 0


class _Footer:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self, depth: int) -> dict[int, Any]:
        """A structure's values by the numbers of its fields."""
        if depth > _MOST_DEPTH:
            raise ValueError("too deep")
        fields: dict[int, Any] = {}
        number = 0
        while header := self._byte():
            number = number + (header >> 4) if header >> 4 else self._whole()
            kind = header & 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2 | 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._whole()
            case 7:
                return self._skip(8)
            case 8:
                return self._skip(self._varint())
            case 9 | 10:
                header = self._byte()
                count = header >> 4 if header >> 4 < 15 else self._varint()
                return [self._value(header & 15, depth + 1) for _ in range(count)]
            case 12:
                return self.struct(depth + 1)
        raise ValueError(f"no kind {kind}")

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128 and shift < 70:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def _whole(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _skip(self, count: int) -> None:
        self._at += count
