import io
import json
import os
import threading

import pytest

from efficient_empathy.dialogues import Intake
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.prediction import predict
from efficient_empathy.labelling.prediction.stage import Collection
from efficient_empathy.labelling.prediction.stream import Reading, answers
from strange_conversations import GERMAN, KIND, STORY


def line(response: str = KIND, **more) -> str:
    messages = [{"role": "user", "content": STORY}, {"role": "assistant", "content": response}]
    return json.dumps({"messages": messages, **more})


def asked(predictor, text: str | bytes, on_bad_row="skip", **settings):
    collection = Collection(predictor, frames=False)
    stream = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    return [
        *answers(stream, predictor, collection, Reading(Intake(ReadingSettings(on_bad_row=on_bad_row, **settings))))
    ], collection


def test_every_line_has_one_answer_with_the_figures_of_the_same_conversation_in_a_file(predictor, tmp_path) -> None:
    text = "\n".join([line(id="a"), "", line(GERMAN, id="b"), line(id="a")])
    result, collection = asked(predictor, text)
    assert [(one["line"], one["dialogue_id"]) for one in result] == [(1, "a"), (3, "b"), (4, "a")]
    (tmp_path / "same.jsonl").write_text(text)
    frame = predict(tmp_path / "same.jsonl", predictor).samples
    assert result[0]["samples"][0]["sensibility"] == pytest.approx(frame["sensibility"][0], abs=1e-4)
    assert result[0]["conversation"]["turns"] == 1
    assert [one["samples"][0]["outside"] for one in result] == [False, True, False]
    assert collection.samples == 3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "not JSON"),
        ("3", "not a JSON object"),
        ('{"a": 1}', "no known format"),
        ('{"messages": [{"role": "user", "content": "alone"}]}', "no listener response"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_bad_line_is_answered_with_the_reason_or_ends_it_after_those_before(predictor, bad, message) -> None:
    text = "\n".join([line(), bad, line()]).encode("utf-8", "surrogateescape")
    result, collection = asked(predictor, text)
    assert message in result[1]["error"]
    assert [one["line"] for one in result] == [1, 2, 3]
    assert collection.samples == 2
    output = []
    with pytest.raises(UserError, match=f"line 2: .*{message}"):
        output.extend(answers(io.BytesIO(text), predictor, Collection(predictor), Reading()))
    many = asked(predictor, b"{\n" * 3)[0]
    assert len(many) == 3


def test_an_answer_comes_before_the_next_line_does(predictor) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream, os.fdopen(writer, "wb", buffering=0) as conversations:
        result = answers(stream, predictor, Collection(predictor), Reading())
        for number in (1, 2):
            conversations.write(f"{line()}\n".encode())
            assert next(result)["line"] == number
        threading.Thread(target=conversations.close).start()
        assert [*result] == []


def test_a_list_of_messages_and_named_columns_are_read_too(predictor) -> None:
    messages = json.dumps(json.loads(line())["messages"])
    assert asked(predictor, messages)[0][0]["samples"]
    row = json.dumps({"question": STORY, "response": KIND})
    assert asked(predictor, row, columns={"context": "question"})[0][0]["samples"]


def test_nothing_is_answered_by_nothing(predictor) -> None:
    assert asked(predictor, "")[0] == asked(predictor, "\n \n")[0] == []
