from __future__ import annotations

from datetime import datetime

import pytest

from efficient_empathy.dialogues.formats.chat_times import times_of


@pytest.mark.parametrize(
    ("stamps", "first"),
    [
        ([("31.12.23", "21:41:05", "")], datetime(2023, 12, 31, 21, 41, 5)),
        ([("12/31/23", "9:41", " PM")], datetime(2023, 12, 31, 21, 41)),
        ([("1/2/24", "12:05", " am"), ("1/13/24", "1:00", " am")], datetime(2024, 1, 2, 0, 5)),
        ([("1/2/24", "9:00", ""), ("13/2/24", "9:00", "")], datetime(2024, 2, 1, 9)),
        ([("3/4/24", "9:00", " PM")], datetime(2024, 3, 4, 21)),
        ([("3/4/24", "21:00", "")], datetime(2024, 4, 3, 21)),
        ([("1/11/24", "9:00", ""), ("2/10/24", "9:00", "")], datetime(2024, 1, 11, 9)),
        ([("2023. 12. 31.", "9:41", "오후 ")], datetime(2023, 12, 31, 21, 41)),
        ([("2023-12-31", "12.30", " p. m.")], datetime(2023, 12, 31, 12, 30)),
        ([("31/31/23", "9:00", "")], None),
    ],
)
def test_the_order_of_day_and_month_is_found(stamps: list[tuple[str, str, str]], first: datetime | None) -> None:
    assert times_of(stamps)[0] == first
