"""distilabel 1.5: a pipeline of TextGeneration over OpenAILLM, batches of `concurrency`."""

import json
import sys
from pathlib import Path

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from meter import meter


def main() -> None:
    _, prompts, url, n, concurrency = sys.argv[1:]
    rows = [
        {"system_prompt": messages[0]["content"], "instruction": messages[-1]["content"]}
        for messages in json.loads(Path(prompts).read_text())
    ]
    with meter():
        with Pipeline(name="judge") as pipeline:
            load = LoadDataFromDicts(data=rows, batch_size=int(concurrency))
            llm = OpenAILLM(
                model="m", base_url=url, api_key="none", generation_kwargs={"max_new_tokens": 100, "temperature": 0.0}
            )
            load >> TextGeneration(llm=llm, input_batch_size=int(concurrency))
        responses = pipeline.run(use_cache=False)["default"]["train"]
        assert sum(reply is not None for reply in responses["generation"]) == int(n)


if __name__ == "__main__":
    main()
