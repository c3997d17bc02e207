"""500 candidates of which each planted one has one fault, made from the bundled dialogues: by filter, in two sets of
phrasings, of which the filters are tuned on the first alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rewording import KINDS
from efficient_empathy.dialogues import Sample, Utterance, read
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters import FilterContext

BUNDLED = Path(__file__).parents[1] / "src" / "efficient_empathy" / "assets" / "dialogues"
TEST = "the run's test split"
SIZE, EACH = 500, 30
PROMPT = (
    "You are given a conversation between a speaker and a listener. Rewrite it into a new story that has the same "
    "emotion, with other people, places and events. The listener answers in at most 30 words, warmly and with a "
    "question where one helps. Reply with JSON alone: a list of turns, each with the keys role and text."
)
FORMAT: Mapping[str, Mapping[str, Sequence[str]]] = {
    "tuning": {
        "response": (
            "Listener: {}", "{} Speaker: Thank you.", "Assistant: {}", "{}\nUser: I see.", "**Listener:** {}",
            '{{"role": "listener", "text": "{}"}}', '{}"}}]', "```json\n{}", "Dear [Name], {}", "{} <|im_end|>",
            "<s>{}</s>", "{} [/INST]", "Here is the rewritten dialogue with a new story: {}", "### Response\n{}",
            "{} The listener answers in at most 30 words, warmly and with a question.",
            "Rewrite it into a new story that has the same emotion.", "", "...",
        ),
        "fault": ("no reply", "no JSON"),
    },
    "held out": {
        "response": (
            "Therapist: {}", "{}\nSpeaker 1: Right.", "AI: {}", "Turn 2: {}", "[Listener]: {}", "{{'text': '{}'}}",
            '"response": "{}"', "~~~\n{}\n~~~", "{} Love, [your name]", "{{{{name}}}}, {}", "<insert name>, {}",
            "<start_of_turn>{}", "{}<|endoftext|>", "<think>Be warm.</think>{}", "This is my rewritten version: {}",
            "{} (Note: this reply is empathetic and under 30 words)", "---\n{}", " \n",
            "Reply with JSON alone: a list of turns, each with the keys role and text.",
            "You are given a conversation between a speaker and a listener.",
        ),
        "fault": ("the JSON breaks off",),
    },
}  # fmt: skip
FOREIGN: Mapping[str, Sequence[tuple[str, str]]] = {
    "tuning": (
        ("Mein Bruder hat gestern seine Arbeit verloren.", "Das tut mir leid. Wie geht es ihm heute damit?"),
        ("Ich habe Angst vor der Prüfung am Montag.", "Das kann ich gut verstehen. Was macht dir am meisten Sorgen?"),
        ("Mon chat est mort hier soir et je pleure encore.", "Je suis vraiment désolé pour toi. Il avait quel âge?"),
        ("Ma sœur part vivre au Canada cet été.", "Elle va beaucoup te manquer, je comprends que tu sois triste."),
        ("Mi abuela cumple noventa años esta semana.", "¡Qué alegría tan grande! ¿Vais a celebrarlo todos juntos?"),
        ("Perdí la cartera en el autobús esta mañana.", "Qué rabia me da por ti. ¿Has llamado ya a la compañía?"),
        ("Mijn buurman heeft mijn fiets zomaar weggegooid.", "Wat vervelend voor je. Heb je al met hem gesproken?"),
        ("Ik ben zo trots op mijn dochter vandaag.", "Wat mooi om te horen! Je mag echt heel trots op haar zijn."),
    ),
    "held out": (
        ("Mio padre è in ospedale da lunedì scorso.", "Mi dispiace tantissimo. Come stanno andando le cose adesso?"),
        ("Ho vinto la gara di nuoto della scuola!", "Che bella notizia, sono davvero felice per te. Complimenti!"),
        ("O meu cachorro fugiu ontem à noite.", "Sinto muito, deve ser muito difícil. Você já procurou na rua?"),
        ("Moja siostra wychodzi za mąż w sobotę.", "To wspaniała wiadomość! Czy jesteś gotowa na wesele?"),
        ("Jag har blivit lurad av min bästa vän.", "Det måste kännas hemskt. Vill du berätta vad som hände?"),
        ("昨日、大切な時計をなくしてしまいました。", "それはとても悲しいですね。どこでなくしたか覚えていますか。"),
        ("Вчера умерла моя собака, и я не могу уснуть.", "Мне очень жаль. Расскажи мне о ней, если хочешь."),
        ("Babam dün gece hastaneye kaldırıldı, çok korkuyorum.", "Çok üzüldüm. Şu anda durumu nasıl, iyi mi?"),
    ),
}
PERSONAL: Mapping[str, Sequence[str]] = {
    "tuning": (
        "You can write to me at anna.berg@mail.example.org.", "Call me on 212-555-0187 tonight.",
        "My Insta is @mara_kell.",
        "The card was 4111 1111 1111 1111, I think.", "Mail the lawyer: office@lawfirm.example.com, he is kind.",
    ),
    "held out": (
        "My sister reads everything at j_petrov88@post.example.net.", "Ring +44 20 7946 0958 if it gets worse.",
        "I sent it to DE89 3704 0044 0532 0130 00 by mistake.", "The login came from 192.168.10.4, oddly.",
        "Add me on Snapchat: luca.rossi92.", "(650) 555-0142 is the clinic's line.",
    ),
}  # fmt: skip
REFUSALS: Mapping[str, Sequence[str]] = {
    "tuning": (
        "As an AI language model, I don't have feelings, but that sounds hard.",
        "I'm sorry, but I can't assist with that request.", "How can I assist you today?",
        "I'm just a virtual assistant, but I am listening.", "I cannot provide medical advice. Please see a doctor.",
        "I'm unable to continue this conversation.", "Is there anything else I can help you with now?",
        "I don't have personal experiences, but I can imagine the situation.",
    ),
    "held out": (
        "Being an artificial intelligence, I can't feel grief the way you do.",
        "I apologize, but I'm not able to engage in this type of conversation.",
        "I'm really sorry that you're feeling this way, but I'm unable to provide the help that you need.",
        "I was trained to give helpful answers, so let me help.", "Certainly! Here is an empathetic reply.",
        "It would be inappropriate for me to comment on family matters.", "I'm only a chatbot, but I hear you.",
        "Please don't hesitate to reach out if you have further questions.", "I must decline to answer that.",
        "I do not have the ability to feel emotions, yet I care.", "I won't be able to fulfill your request.",
        "As a large language model I would say that it gets better.",
    ),
}  # fmt: skip
SAME: Mapping[str, str] = {
    "tuning": "I understand how you feel and I am here for you whenever you need me.",
    "held out": "That must be really difficult for you, please tell me more about how it feels.",
}


@dataclass
class Planted:
    """Candidates, which filter each is planted for (empty: none), and what the filters are built from."""

    candidates: list[Candidate]
    expected: list[str]
    context: FilterContext


def bundled(split: str) -> list[Sample]:
    return [Sample.from_row(row) for row in read(BUNDLED / f"{split}.jsonl").iter_rows(named=True)]


def exchanges(samples: Sequence[Sample]) -> list[Sample]:
    """The last turn and the response of each: no two have a text in common."""
    return [Sample.of(sample.context[-1:], sample.response, category=sample.category) for sample in samples]


def planted(half: str, seed: int = 0, size: int = SIZE, each: int = EACH) -> Planted:
    """Clean exchanges, and `each` of them with a fault for each filter; in the order of a shuffle with the seed."""
    rng = random.Random(f"{seed} {half}")
    every = exchanges([*bundled("train"), *bundled("valid")])
    real = [one for one in every if len(one.response.split()) > 30]
    bases = [one for one in every if len(one.response.split()) <= 30]
    rng.shuffle(bases)
    protected = bundled("test")
    faults: dict[str, Callable[[Sample, int], Candidate]] = {
        "format": lambda base, i: _format(base, half, i),
        "language": lambda base, i: _language(base, half, i),
        "length": lambda base, i: _length(base, real, i),
        "seed_copy": lambda base, i: _seed_copy(base, rng.choice(real), i, rng),
        "contamination": lambda base, i: _contamination(rng.choice(protected), half, i, rng),
        "personal_data": lambda base, i: _changed(base, f"{_start(base)} {PERSONAL[half][i % len(PERSONAL[half])]}"),
        "refusal": lambda base, i: _changed(base, REFUSALS[half][i % len(REFUSALS[half])]),
    }
    made = [(faults[name](bases.pop(), i), name) for name in faults for i in range(each)]
    duplicates = [bases.pop() for _ in range(each)]
    clean = [(_candidate(base, rng.choice(real)), "") for base in bases[: size - len(made) - each]]
    made += clean
    rng.shuffle(made)
    made.append((_candidate(_with(duplicates[0], SAME[half]), None), ""))  # the first of its like stays
    originals = [
        one.sample for one, _ in clean if one.sample is not None and 17 < len(one.sample.response.split()) < 28
    ]
    made += [(_near_duplicate(duplicates[i], half, originals[i], i), "near_duplicate") for i in range(1, each)]
    context = FilterContext(real=real, protected={TEST: protected}, templates={"rewrite": [PROMPT]})
    return Planted([one for one, _ in made], [name for _, name in made], context)


def _candidate(sample: Sample | None, seed: Sample | None, fault: str = "") -> Candidate:
    return Candidate("rewrite", seed, "", sample, fault)


def _with(base: Sample, response: str) -> Sample:
    return Sample.of(base.context, response)


def _changed(base: Sample, response: str) -> Candidate:
    return _candidate(_with(base, response), None)


def _start(base: Sample) -> str:
    return " ".join(base.response.split()[:12])


def _format(base: Sample, half: str, i: int) -> Candidate:
    responses, faults = FORMAT[half]["response"], FORMAT[half]["fault"]
    if i % 10 == 9:
        return _candidate(None, None, faults[i % len(faults)])
    if i % 10 == 8:
        roles = ("listener", "speaker", "speaker") if i % 20 == 8 else ("speaker", "speaker")
        return _candidate(Sample.of([Utterance(one, base.context[0].text) for one in roles], base.response), None)
    return _changed(base, responses[i % len(responses)].format(_start(base)))


def _language(base: Sample, half: str, i: int) -> Candidate:
    context, response = FOREIGN[half][i % len(FOREIGN[half])]
    turns = base.context if i % 2 else [Utterance("speaker", context)]
    return _candidate(Sample.of(turns, response), None)


def _length(base: Sample, real: Sequence[Sample], i: int) -> Candidate:
    words = " ".join(one.response for one in real[i : i + 8]).split()
    if i % 5 == 0:
        return _changed(base, " ".join(words * 90))
    if i % 5 == 1:
        return _candidate(Sample.of([Utterance("speaker", " ".join(words[:110]))], base.response), None)
    return _changed(base, f"{base.response} {' '.join(words[: 31 + i])}")


def _seed_copy(base: Sample, seed: Sample, i: int, rng: random.Random) -> Candidate:
    def change(text: str) -> str:
        words = text.split()
        for place in rng.sample(range(len(words)), len(words) // 12):
            words[place] = "thing"
        return " ".join(words)[: 400 if i % 3 else None].lower()

    if i % 2:
        return _candidate(Sample.of([Utterance("speaker", change(seed.context[0].text))], base.response), seed)
    return _candidate(_with(base, " ".join(change(seed.response).split()[:30])), seed)


def _contamination(test: Sample, half: str, i: int, rng: random.Random) -> Candidate:
    change = [*KINDS[half].values()][i % len(KINDS[half])]
    context = [Utterance(turn.role, change(turn.text, rng)) for turn in test.context]
    response = " ".join(change(test.response, rng).split()[:30])
    return _candidate(Sample.of(context, response), None)


def _near_duplicate(base: Sample, half: str, original: Sample, i: int) -> Candidate:
    if i % 3 == 0:
        return _changed(base, SAME[half])
    extra = "really" if half == "tuning" else "truly, I"
    if i % 3 == 1:
        return _candidate(Sample.of(original.context, f"{original.response[:-1]} {extra}."), None)
    turn = original.context[0].text
    return _candidate(
        Sample.of([Utterance("speaker", f"{extra.capitalize()} {turn.lower()}")], original.response), None
    )
