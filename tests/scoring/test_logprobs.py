import math
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.scoring import Axis, Rubric, parse
from efficient_empathy.scoring.logprobs import LogprobsError, distributions

RUBRIC = Rubric.load()
SCORES = {"sensibility": 8, "rationality": 2}
FORM = "- Sensibility: 8\n- Rationality: 2"
OBJECT = '{"sensibility": 8, "rationality": 2}'


def entry(options: dict[str, float]) -> dict:
    """A token entry as OpenAI documents it: the first option was written."""
    top = [{"token": text, "logprob": math.log(p)} for text, p in options.items()]
    return {**top[0], "top_logprobs": top}


def reply(*tokens: dict[str, float]) -> tuple[str, list[dict]]:
    return "".join(next(iter(options)) for options in tokens), [entry(options) for options in tokens]


def tokenise(*texts: str) -> list[dict]:
    """Each text a token. One that holds an 8 or a 2 had a 7 or a 1 beside it, with a third of its probability."""
    beside = str.maketrans("82", "71")
    return [
        entry({t: 0.6, t.translate(beside): 0.2, "so": 0.2} if t.translate(beside) != t else {t: 0.8, "so": 0.2})
        for t in texts
    ]


def assert_three_to_one(tables: dict[str, list[float]]) -> None:
    assert tables["sensibility"] == pytest.approx([0.75 if i == 8 else 0.25 if i == 7 else 0 for i in range(11)])
    assert tables["rationality"] == pytest.approx([0.75 if i == 2 else 0.25 if i == 1 else 0 for i in range(11)])


def test_what_else_was_considered_is_shared_out() -> None:
    text, tokens = reply(
        {"Sensibility": 1.0}, {": ": 1.0}, {"8": 0.6, "7": 0.2, "high": 0.2}, {"\nRationality: ": 1.0}, {"2": 1.0}
    )
    result = distributions(text, tokens, RUBRIC, SCORES)
    assert result["sensibility"][8] == pytest.approx(0.75)
    assert result["sensibility"][7] == pytest.approx(0.25)
    assert result["rationality"] == [float(i == 2) for i in range(11)]


def test_a_ten_in_two_tokens_is_a_ten() -> None:
    text, tokens = reply({"Sensibility: ": 1.0}, {"1": 0.9, "9": 0.1}, {"0": 1.0}, {"\nRationality: ": 1.0}, {"0": 1.0})
    result = distributions(text, tokens, RUBRIC, {"sensibility": 10, "rationality": 0})
    assert result["sensibility"][10] == pytest.approx(0.9)


def test_on_a_scale_to_a_hundred_a_first_digit_says_nothing_of_the_number() -> None:
    axis = Axis(name="sensibility", scale=(0, 100), description="Depth.")
    rubric = RUBRIC.model_copy(update={"axes": (axis,)})
    text, tokens = reply({"Sensibility: ": 1.0}, {"85": 0.6, "7": 0.1, "80": 0.3})
    table = distributions(text, tokens, rubric, {"sensibility": 85})["sensibility"]
    assert [table[85], table[80], table[7]] == pytest.approx([0.6, 0.3, 0.1])
    text, tokens = reply({"Sensibility: ": 1.0}, {"8": 0.6, "7": 0.4}, {"5": 0.9, "0": 0.1})
    with pytest.raises(LogprobsError, match="85 is written in several tokens"):
        distributions(text, tokens, rubric, {"sensibility": 85})


QUOTED = '{"sensibility": "8", "rationality": "2"}'
REASONED = '{"why": "Sensibility: (8), no 9", "sensibility": 8, "rationality": 2}'
NESTED = '{"a": "Sensibility: 8", "sensibility": {"score": 8}, "rationality": {"score": 2}}'
ENTRIES = '[{"axis": "Sensibility", "score": 8}, {"axis": "Rationality", "score": 2}]'
FENCED = '```|json|\n|{"|sens|ibility|":| |8|,| "rationality|":| 2|}|\n|```|'


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # llama.cpp: a fence that the server took off, and the end of the turn.
        (OBJECT, FENCED.split("|")),
        (FORM, ["-", " Sensibility", ":", " 8", "\n", "- Rationality: ", "2", "<|im_end|>"]),
        (FORM, ["<s>", "-", " Sensibility", ":8", "\n", "</s>", "- Rationality: ", "2", "</s>"]),
        # Thoughts that the server took off, with a draft of the reply in them, and with other numbers.
        (FORM, ["<think>", "Sensibility: ", "3", "\n", "Rationality: ", "9", "</think>", "\n\n", *FORM]),
        (FORM, ["<think>", "- Sensibility: ", "8.", "\n- Rationality: ", "2?", "</think>", "\n", *FORM]),
        (f"<think>Sensibility: 8.</think>{FORM}", ["<think>", "Sensibility: 8.", "</think>", *FORM]),
        # How tokenizers write spaces and bytes.
        (FORM, ["-ĠSens", "ibility", ":", "Ġ8", "Ċ", "-", "ĠRationality:", "Ġ2", "<|endoftext|>"]),
        (FORM, ["▁-", "▁Sensibility", ":", "▁8", "<0x0A>", "-", "▁Rationality", "<0x3A>", "▁2", "</s>"]),
        (FORM, ["▁-", "▁Sensibility", ":", "<0x20>", "8", "<0x0A>", "-", "▁Rationality:", "2"]),
        # Characters that tokens split.
        (f"💙 é\n{FORM}", ["\ufffd", "\ufffd", "", " Ã", "©", "\n", *FORM]),
        (f"💙\n{FORM}", ["bytes:\\xf0\\x9f", "bytes:\\x92\\x99", "\n", *FORM]),
        # Numbers that share their token with what stands around them.
        (QUOTED, ['{"', "sensibility", '": "', "8", '", "rationality', '":', ' "2', '"}']),
        (OBJECT, ['{"sensibility"', ": 8,", ' "rationality"', ": ", "2}"]),
        ("**Sensibility:** 8\nRationality: 2", ["**", "Sensibility", ":** ", "8", "\n", "Rationality", ": 2"]),
        # A server that lays the object out anew.
        (OBJECT, ["{\n", '  "sensibility":', "8", ",\n", ' "rationality":', "2", "\n}"]),
        # The reply speaks of its scores before it gives them.
        (REASONED, ['{"why": "Sensibility: (8), no 9", ', '"sensibility":', " 8", ", ", '"rationality": ', "2", "}"]),
        (NESTED, ['{"a": "Sensibility: 8', '", "sensibility":{"score":', " 8", '},"rationality":{"score":', "2", "}}"]),
        (ENTRIES, ['[{"axis": "Sensibility", "score": ', "8", '}, {"axis": "Rationality", "score":', " 2", "}]"]),
    ],
)  # fmt: skip
def test_the_number_is_read_where_the_reply_stands_in_the_tokens(text: str, tokens: list[str]) -> None:
    assert_three_to_one(distributions(text, tokenise(*tokens), RUBRIC, SCORES))


def test_bytes_go_before_the_text_of_a_token() -> None:
    tokens = tokenise(*FORM)
    for token in tokens:
        token["bytes"] = list(token["token"].encode())
        token["token"] = f"token_id:{token['bytes'][0]}"
        for option in token["top_logprobs"]:
            option["bytes"] = list(option["token"].encode())
            option["token"] = f"token_id:{option['bytes'][0]}"
    assert_three_to_one(distributions(FORM, tokens, RUBRIC, SCORES))


def test_a_number_that_the_server_does_not_list_among_the_probable_ones_counts_too() -> None:
    """A grammar, or a draw, may take a token that is not among the most probable ones."""
    tokens = tokenise(*FORM)
    for token in tokens:
        if token["token"] == "8":
            token["top_logprobs"] = [{"token": "7", "logprob": math.log(0.2)}, {"token": "The", "logprob": -1.6}]
    assert_three_to_one(distributions(FORM, tokens, RUBRIC, SCORES))


def spoil_numbers(**fields: object) -> list[dict]:
    """The form's tokens; the fields of those that hold a number are others."""
    return [token | fields if token["token"] in "82" else token for token in tokenise(*FORM)]


def options(**logprobs: float | None) -> list[dict]:
    return [{"token": name.strip("_"), "logprob": logprob} for name, logprob in logprobs.items()]


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        (None, "gave no log-probabilities"),
        ([], "gave no log-probabilities"),
        (tokenise("- Sensibility: ", "8"), "is not among the tokens"),
        (tokenise(*"Sensibility: 7\nRationality: 2"), "is not among the tokens"),
        (tokenise(FORM), "does not begin with a token of its own"),
        (tokenise("- Sensibility: ", "8\n- Rationality:", "2"), "does not begin with a token of its own"),
        ([{"token": c, "logprob": -0.4} for c in FORM], "names no alternatives"),
        ([{"token": c, "logprob": 0.0, "top_logprobs": []} for c in FORM], "names no alternatives"),
        ([entry({c: 1.0}) for c in FORM], "names no alternatives"),
        (spoil_numbers(top_logprobs=[]), "names no alternatives"),
        (spoil_numbers(top_logprobs=None), "names no alternatives"),
        (spoil_numbers(top_logprobs=options(_8=0.0, _7=0.0, _6=0.0)), "add up to more than 1"),
        (spoil_numbers(logprob=None, top_logprobs=options(_7=-0.1, _6=-3.0)), "no log-probability"),
        (spoil_numbers(logprob=None, top_logprobs=options(_8=None, _2=None)), "no log-probability"),
        (spoil_numbers(logprob=-math.inf, top_logprobs=options(_8=-math.inf, _2=-math.inf)), "no number on the scale"),
        (spoil_numbers(logprob=-9999.0, top_logprobs=options(the=-0.1)), "no number on the scale"),
        (spoil_numbers(top_logprobs=options(_8=-0.1, _7=math.nan)), "form that OpenAI documents"),
        (spoil_numbers(top_logprobs=options(_8=0.5, _7=-1.0)), "form that OpenAI documents"),
        (spoil_numbers(top_logprobs={"8": -0.1, "7": -3}), "form that OpenAI documents"),
        (["8"], "form that OpenAI documents"),
    ],
)  # fmt: skip
def test_where_there_is_no_distribution_the_reason_says_so(tokens: list | None, reason: str) -> None:
    with pytest.raises(LogprobsError, match=reason):
        distributions(FORM, tokens, RUBRIC, SCORES)


@pytest.mark.parametrize(
    "text",
    [
        "Sensibility: ８\nRationality: ２",
        "| Sensibility | Rationality |\n|---|---|\n| 8 | 2 |",
        '{"why": "Sensibility: 8", "sensibility": {"why": "8 words", "score": 8}, "rationality": 2}',
    ],
)
def test_a_number_that_cannot_be_found_gives_no_distribution(text: str) -> None:
    assert parse(text, RUBRIC) == SCORES
    with pytest.raises(LogprobsError, match="does not stand behind its name"):
        distributions(text, tokenise(*text), RUBRIC, SCORES)


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=5), st.lists, max_leaves=6))
def test_any_form_gives_distributions_or_a_reason(value: object) -> None:
    entries = value if isinstance(value, list) else [{"token": "8", "logprob": value, "top_logprobs": value}]
    with pytest.raises(LogprobsError):
        distributions("Sensibility: 8\nRationality: 8", entries, RUBRIC, {"sensibility": 8, "rationality": 8})


BEFORE = ["", "Sure! ", "💙 naïve\n", "Here you are:\n\n", "Sensibility? Rationality? 4 words.\n"]
LISTED = [
    "",
    "<think>Sensibility: 3? Rationality: 7</think>\n\n",
    "```json\n",
    "<|start|>assistant<|message|>",
    "9 8 7 ",
]


@st.composite
def tokenised_replies(draw: st.DrawFn, *, whole_numbers: bool) -> tuple[str, dict[str, int], list[str]]:
    """A reply, the scores in it, and its tokens: split between any two bytes, among others that are no part of it.

    `whole_numbers`: a number shares no token with what stands around it, though 10 may take two.
    """
    a, b = draw(st.integers(0, 10)), draw(st.integers(0, 10))
    parts = draw(st.sampled_from([
        ['{"sensibility": ', a, ', "rationality": ', b, "}"],
        ['{\n  "rationality": "', b, '",\n  "sensibility": "', a, '"\n}'],
        [draw(st.sampled_from(BEFORE)) + "- Sensibility: ", a, "\n- Rationality: ", b],
        [draw(st.sampled_from(BEFORE)) + "**Rationality**: ", b, "\n\n**Sensibility**: ", a, "."],
    ]))  # fmt: skip
    listed = [
        draw(st.sampled_from(LISTED)),
        *map(str, parts),
        draw(st.sampled_from(["", "\n```", "<|im_end|>", "</s>"])),
    ]
    ends = list(accumulate(len(part.encode()) for part in listed))
    random, density = draw(st.randoms(use_true_random=False)), draw(st.sampled_from([0.1, 0.3, 0.6, 1]))
    cuts = {i for i in range(1, ends[-1]) if random.random() < density} | (set(ends) if whole_numbers else set())
    data = "".join(listed).encode()
    marks = str.maketrans(draw(st.sampled_from([{}, {" ": "Ġ", "\n": "Ċ"}, {" ": "▁"}])))
    tokens = [data[i:j].decode(errors="replace").translate(marks) for i, j in pairwise([0, *sorted(cuts), len(data)])]
    return "".join(map(str, parts)), {"sensibility": a, "rationality": b}, tokens


def assert_read(tables: dict[str, list[float]], scores: dict[str, int]) -> None:
    """Two thirds for the number that was written, one third for 5, as `considering_five` has it."""
    for name, score in scores.items():
        assert tables[name] == pytest.approx([2 / 3 * (i == score) + 1 / 3 * (i == 5) for i in range(11)])


def considering_five(texts: list[str]) -> list[dict]:
    return [
        {"token": t, "logprob": math.log(0.6), "top_logprobs": [
            {"token": name, "logprob": math.log(p)} for name, p in ((t, 0.6), ("Ġ5", 0.3), ("so", 0.1))
        ]} for t in texts
    ]  # fmt: skip


@given(tokenised_replies(whole_numbers=True))
def test_a_number_in_tokens_of_its_own_is_read(case: tuple) -> None:
    text, scores, texts = case
    assert parse(text, RUBRIC) == scores
    assert_read(distributions(text, considering_five(texts), RUBRIC, scores), scores)


@given(tokenised_replies(whole_numbers=False))
def test_however_a_reply_is_tokenised_its_own_numbers_are_read_or_none(case: tuple) -> None:
    text, scores, texts = case
    try:
        tables = distributions(text, considering_five(texts), RUBRIC, scores)
    except LogprobsError as error:
        assert "token of its own" in str(error)  # noqa: PT017 - the other outcome is right too
    else:
        assert_read(tables, scores)
