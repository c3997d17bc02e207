from efficient_empathy.prompts.golden.records import GoldenManifest, decoding_of, mismatches, parser_hash, read_by
from judge_specs import spec_of

DECODING = {"reply": "auto", "temperature": 0.2, "max_tokens": 100, "logprobs": False}
SPEC = spec_of("openai", model="m", at="localhost", **DECODING)


def rubric(**axes):
    return {"name": "r", "hash": "h", "axes": axes}


def judging(**changes):
    fields = {"name": "g", "items": 1, "corpus": "c", "parser": "p", "decoding": decoding_of(SPEC),
              "rubric": rubric(sensibility=(0, 10))}  # fmt: skip
    return GoldenManifest.model_validate(fields | changes)


def test_decoding_and_parser_come_from_the_spec() -> None:
    assert decoding_of(SPEC) == DECODING
    assert read_by(SPEC) == parser_hash()
    distilled = spec_of("distilled", model="a+b")
    assert (decoding_of(distilled), read_by(distilled), read_by(None)) == (None, None, None)


def test_what_differs_is_named_with_a_remedy() -> None:
    hotter = decoding_of(spec_of("openai", **{**DECODING, "temperature": 0.9}))
    other = judging(decoding=hotter, rubric=rubric(warmth=(1, 3)))
    result = mismatches(judging(corpus="d", parser="q"), other)
    assert [one.what for one in result] == ["corpus", "axes", "parser", "decoding: temperature"]
    assert result[-1].remedy == "ask with --temperature 0.9"


def test_what_is_not_known_is_not_compared() -> None:
    assert not mismatches(judging(), judging())
    assert not mismatches(judging(), judging(parser=None, decoding=None, rubric=None))
