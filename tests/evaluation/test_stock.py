from efficient_empathy.evaluation.comparison import Contestant, compare
from efficient_empathy.evaluation.metrics import choose
from efficient_empathy.evaluation.pairs import pair_texts
from efficient_empathy.evaluation.stock import stock_replies
from efficient_empathy.evaluation.tables import caption, figures, summary, text

N = 40
PEOPLE = [f"{name} told me that {name} was fine" for name in (f"p{i}" for i in range(N))]
SORRY = ["Oh no, I am sorry!" if i % 4 == 0 else f"Oh no, I never knew {i}" for i in range(N)]
OWN = [f"w{i} is what I think" for i in range(N)]


def compared(**replies):
    rows = [Contestant(name, name.upper(), pair_texts(given, PEOPLE)) for name, given in replies.items()]
    return compare(rows, choose(["texts"]), resamples=0)


def test_a_model_with_a_stock_reply_is_called_out_with_it_beside_people_and_the_base() -> None:
    record = compared(base=OWN, moe=SORRY)
    sentence = (
        "MOE gives stock replies: "
        "25.0 % say “Oh no, I am sorry!” (of the references at most 2.5 % do, of BASE’s 2.5 %); "
        "100.0 % begin with “Oh no, I” (of the references at most 2.5 % do, of BASE’s 2.5 %)"
    )
    assert stock_replies(record) == {"moe": sentence}
    assert figures(record)["stock_replies"] == {"moe": sentence}
    assert f" {sentence}." in caption(record)
    assert f"\n{sentence}." in text(record)


def test_the_row_of_the_references_stands_below_the_models_and_is_no_model() -> None:
    lines = text(compared(base=OWN, moe=SORRY)).splitlines()
    head, *rows = (line.split() for line in lines[1:5])
    assert rows[2][:2] == ["(the", "references)"]
    shares = dict(zip(head, rows[2][2:], strict=True))
    assert (shares["unique↑"], shares["top_reply↓"], shares["reused↓"]) == ("100.0", "2.5", "0.0")


def test_what_people_say_as_often_is_no_stock_reply() -> None:
    yes = ["yes"] * N
    rows = [Contestant(name, name, pair_texts(yes, yes)) for name in ("base", "moe")]
    assert stock_replies(compare(rows, choose(["texts"]), resamples=0)) == {}


def test_five_times_the_same_is_needed() -> None:
    assert stock_replies(compared(moe=["So sorry"] * 4 + OWN[4:])) == {}
    assert "12.5 % say “So sorry”" in stock_replies(compared(moe=["So sorry"] * 5 + OWN[5:]))["moe"]


def test_that_it_is_better_otherwise_does_not_hide_it() -> None:
    rows = [Contestant(name, name, pair_texts(given, PEOPLE)) for name, given in (("base", [""] * N), ("moe", SORRY))]
    last = summary(compare(rows, choose(["texts"]), resamples=1000)).splitlines()[-1]
    assert last.startswith("moe against base: better in ")
    assert last.endswith("; its replies are stock, see above.")


def test_without_texts_nothing_is_said() -> None:
    record = compare([Contestant("moe", "moe", pair_texts(SORRY, PEOPLE))], choose(["official"]), resamples=0)
    assert (stock_replies(record), record.references) == ({}, {})
