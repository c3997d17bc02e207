"""What judgements are kept under in tests."""

from efficient_empathy.scoring import JudgeSpec


def spec_of(judge: str, round: int = 1, rubric: str = "r", **settings) -> JudgeSpec:  # noqa: A002
    return JudgeSpec(judge=judge, rubric=rubric, settings=settings, round=round)
