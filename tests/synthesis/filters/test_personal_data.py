from candidates import candidate, verdicts


def test_the_reason_names_the_kinds_and_the_figure_counts() -> None:
    some = [
        candidate("Write to ann@mail.example.org.", "I will, and to bo@mail.example.org; call 212-555-0123."),
        candidate("We met at 10 on the 3rd floor, 40 of us.", "What a crowd!"),
    ]
    assert verdicts("personal_data", some) == [("e-mail addresses, phone numbers", 3), ("", 0)]
