"""Conversations such as the bundled judge learnt from, and others; its folder without a reference."""

from pathlib import Path

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.scoring.judges.distilled import BUNDLED

FILES = ("model.onnx", "judge.json", "tokenizer.json")


def sample(response: str, *context: str, dialogue: str | None = None) -> Sample:
    turns = [Utterance("listener" if i % 2 else "speaker", text) for i, text in enumerate(context or (STORY,))]
    return Sample.of(turns, response, dialogue_id=dialogue)


STORY = "my grandmother died last week and i miss her so much ."
KIND = "that must leave a hole in the house . what did she teach you ?"
GERMAN = "Das tut mir sehr leid, ich wünsche dir in dieser schweren Zeit viel Kraft."
CHINESE = "您的祖母一定对您很重要，我很难过。"
CODE = 'for key, value in sorted(table.items(), key=lambda pair: -pair[1]): print(f"{key:>10} {value:6.2f}")'
LOG = "2024-05-01T12:00:04Z WARN [http-nio-8080-exec-3] retry 3/5: connection refused 10.0.0.12:5432"
NOISE = "asdkjh qwoeiu zxmcnb qpwoei vbnmzx"
ENDLESS = "i am so sorry for your loss and i hope you feel better soon . " * 40


def bare_folder(folder: Path) -> Path:
    """The bundled judge's files without its reference."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).symlink_to(BUNDLED / name)
    return folder
