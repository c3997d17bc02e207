"""Settings that reach a model behind an API."""

import pytest
from pydantic import TypeAdapter, ValidationError

from efficient_empathy.llm.settings import ExtraBody

BODY: TypeAdapter[dict[str, object]] = TypeAdapter(ExtraBody)


@pytest.mark.parametrize(
    "body",
    [
        '{"api_key": "sk-1"}',
        '{"apiKey": "sk-1"}',
        '{"token": "hf_1"}',
        '{"metadata": {"x-api-key": "sk-1"}}',
        '{"data_sources": [{"parameters": {"authentication": {"client_secret": "s"}}}]}',
    ],
)
def test_a_secret_in_the_extra_body_is_refused_since_files_keep_it(body: str) -> None:
    with pytest.raises(ValidationError, match="not for the extra body, which the run's files keep: export it"):
        BODY.validate_python(body)


def test_what_only_sounds_like_a_secret_is_sent() -> None:
    body = {"stop_token_ids": [2], "ignore_eos": True, "min_tokens": 1, "skip_special_tokens": False, "token_ids": [1]}
    assert BODY.validate_python(body) == body
