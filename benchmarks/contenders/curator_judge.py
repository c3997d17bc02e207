"""bespokelabs-curator 0.1: curator.LLM over its openai backend, `concurrency` requests at once."""

import json
import sys
from pathlib import Path

import tiktoken
from meter import meter


def byte_encoding(name: str) -> tiktoken.Encoding:
    """Where tiktoken cannot download its vocabulary: one token a byte, which is quicker than the real one."""
    ranks = {bytes([i]): i for i in range(256)}
    return tiktoken.Encoding(name=name, pat_str=r"[\s\S]", mergeable_ranks=ranks, special_tokens={})


try:
    tiktoken.get_encoding("cl100k_base")
except Exception:  # no network
    tiktoken.get_encoding = byte_encoding

from bespokelabs import curator  # noqa: E402


def main() -> None:
    _, prompts, url, n, concurrency = sys.argv[1:]
    messages = json.loads(Path(prompts).read_text())
    with meter():
        llm = curator.LLM(
            model_name="m",
            backend="openai",
            backend_params={
                "base_url": url,
                "max_concurrent_requests": int(concurrency),
                "max_requests_per_minute": 10_000_000,
                "max_tokens_per_minute": 100_000_000_000,
                "max_retries": 5,
            },
            generation_params={"max_tokens": 100, "temperature": 0.0},
        )
        responses = llm(messages)
        assert len(responses.dataset if hasattr(responses, "dataset") else responses) == int(n)


if __name__ == "__main__":
    main()
