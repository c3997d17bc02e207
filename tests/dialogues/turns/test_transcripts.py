"""Conversations inside one text: each form is read, and what only looks like one stays one turn."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from efficient_empathy.dialogues import Intake, ReadingSettings
from efficient_empathy.dialogues.rows import MalformedError
from efficient_empathy.dialogues.turns.transcripts import alternating, parse_text, reply_text

A, B, C = "I lost my job.\nAt the bakery.", "Oh no: that hurts.", "The rent is due."
DIALOGUE = [("speaker", A), ("listener", B), ("speaker", C)]


@pytest.mark.parametrize(
    "text",
    [
        f"Human: {A}\n\nAssistant: {B}\n\nHuman: {C}\n\nAssistant:",
        f"Human: {A}\n\nAssistant: {B}\n\nHuman: {C}",
        f"User: {A}\nAssistant: {B}\nUser: {C}",
        f"user: {A}\nassistant: {B}\nuser: {C}\nassistant:",
        f"USER: {A} ASSISTANT: {B}</s>USER: {C} ASSISTANT:",
        f"A chat between a user and an assistant. USER: {A} ASSISTANT: {B} USER: {C} ASSISTANT:",
        f"Human: {A} Assistant: {B} Human: {C} Assistant:",
        f"### Human: {A}\n### Assistant: {B}\n### Human: {C}\n### Assistant:",
        f"### Human\n{A}\n### Assistant\n{B}\n### Human\n{C}\n### Assistant\n",
        f"### Instruction:\n{A}\n\n### Response:\n{B}\n\n### Instruction:\n{C}\n\n### Response:",
        f"<|user|>\n{A}</s>\n<|assistant|>\n{B}</s>\n<|user|>\n{C}</s>\n<|assistant|>\n",
        f"<|im_start|>user\n{A}<|im_end|>\n<|im_start|>assistant\n{B}<|im_end|>\n<|im_start|>user\n{C}<|im_end|>",
        f"<|prompter|>{A}<|endoftext|><|assistant|>{B}<|endoftext|><|prompter|>{C}<|endoftext|><|assistant|>",
        f"<bos><start_of_turn>user\n{A}<end_of_turn>\n<start_of_turn>model\n{B}<end_of_turn>\n<start_of_turn>user\n{C}",
        f"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{A}<|eot_id|>"
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{B}<|eot_id|>"
        f"<|start_header_id|>user<|end_header_id|>\n\n{C}<|eot_id|>",
        f"<s>[INST] {A} [/INST] {B} </s><s>[INST] {C} [/INST]",
        f"<human>: {A}\n<bot>: {B}\n<human>: {C}\n<bot>:",
        f"**User:** {A}\n\n**Assistant:** {B}\n\n**User:** {C}",
        f"[Customer]: {A}\n[Agent]: {B}\n[Customer]: {C}",
        f"Client: {A}\nTherapist: {B}\nClient: {C}",
        f"User：{A}\nAssistant：{B}\nUser：{C}",
        f"Speaker 1: {A}\nSpeaker 2: {B}\nSpeaker 1: {C}",
        f"Speaker 1: {A}\nSpeaker 2: {B}\nSpeaker 1: {C}\nSpeaker 2:",
        f"Person A: {A}\nPerson B: {B}\nPerson A: {C}",
        f"A: {A}\nB: {B}\nA: {C}",
        f"Q: {A}\nA: {B}\nQ: {C}\nA:",
        f"{A} __eou__ {B} __eou__ {C} __eou__",
        f"{A} </s> {B} </s> {C}",
        f"{A}<|endoftext|>{B}<|endoftext|>{C}<|endoftext|>",
        f"Speaker: {A} </s> Listener: {B} </s> Speaker: {C}",
        f"### Human: {A}### Assistant: {B}### Human: {C}### Assistant:",
        f"- User: {A}\n- Bot: {B}\n- User: {C}",
        f"1. User: {A}\n2. Bot: {B}\n3. User: {C}",
        f"[10:02] Customer: {A}\n[10:03] Agent: {B}\n[10:04] Customer: {C}",
        f"10:02:11 - Customer: {A}\n10:03:02 - Agent: {B}\n10:04:59 - Customer: {C}",
        f"User - {A}\nAssistant - {B}\nUser - {C}",
        f"<user>{A}</user>\n<assistant>{B}</assistant>\n<user>{C}</user>",
        f"user\n{A}\nassistant\n{B}\nuser\n{C}\nassistant\n",
        f"H: {A}\nA: {B}\nH: {C}",
        f"Utilisateur : {A}\nAssistant : {B}\nUtilisateur : {C}",
        f"用户：{A}\n助手：{B}\n用户：{C}",
    ],
)
def test_every_form_is_read(text: str) -> None:
    intake = Intake()
    assert parse_text(text, intake) == DIALOGUE
    assert not set(intake.repairs) - {"preambles left out"}


@pytest.mark.parametrize(
    "text",
    [
        "Why do prompts say Human: and Assistant: at all?",
        "My friend said: Human: is what they call us.",
        "Explain this prompt:\nHuman: hi\nAssistant: hello",
        "Summarise what they said.\nUser: hi\nAgent: hello",
        "Note: boil the eggs.\nTip: not too long.\nNote: serve.",
        "Q: How are you? A: Fine.",
        "Q: How are you?\nA: Fine.",
        "Which is it?\nA: yes\nB: no",
        "A: Paris\nB: Rome\nC: Oslo\nA: Paris",
        "Name: Ann\nCustomer: Bob\nAgent: Eve\nIssue: lost",
        "Input: 1\nOutput: 2\nInput: 3\nOutput: 4",
        "Pros: a\nCons: b\nPros: c\nCons: d",
        "It is 10:30: late.\nSee http://a.b/c: there.",
        "A <s>wrong</s> word.",
        "Hi <user>, I lost my job.",
        "user\nof the word user",
        "The user - me - is sad.\nNobody - not even Ann - called.",
        "- milk: two\n- bread: one",
        "10:30: woke up\n11:00: ate",
        "[sighs] I lost.",
        "I typed <|im_start|>user, what is it?",
        "The speaker: nobody",
        "To whom it may concern: I am sad.",
        "",
    ],
)
def test_what_only_looks_like_a_dialogue_stays_one_turn(text: str) -> None:
    intake = Intake()
    assert parse_text(text, intake) is None
    assert not intake.repairs


def test_one_label_of_a_person_is_taken_off() -> None:
    assert parse_text("Human: I lost my job.", Intake()) == [("speaker", "I lost my job.")]


def test_labelled_lines_go_on_until_the_next_label() -> None:
    intake = Intake()
    text = "Answer kindly.\nSpeaker: I lost\nmy dog\nLISTENER : Oh no\n speaker:Yes\nListener:"
    assert parse_text(text, intake) == [("speaker", "I lost\nmy dog"), ("listener", "Oh no"), ("speaker", "Yes")]
    assert intake.repairs == {"preambles left out": 1}


def test_system_turns_inside_a_text_are_left_out_and_counted() -> None:
    for text in (
        "System: Be kind.\nUser: a\nAssistant: b\nUser: c",
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        "<|im_start|>user\nc<|im_end|>",
        "[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\na [/INST] b </s><s>[INST] c [/INST]",
    ):
        intake = Intake()
        assert parse_text(text, intake) == [("speaker", "a"), ("listener", "b"), ("speaker", "c")]
        assert intake.repairs == {"system turns left out": 1}


def test_a_label_within_a_reply_is_no_turn() -> None:
    text = "User: Who helps?\nAssistant: These do:\nDoctor: 555\nNurse: 556\nUser: Thanks."
    assert parse_text(text, Intake()) == [
        ("speaker", "Who helps?"), ("listener", "These do:\nDoctor: 555\nNurse: 556"), ("speaker", "Thanks."),
    ]  # fmt: skip


def test_utterances_of_one_turn_stay_together() -> None:
    assert parse_text("a __eou__ b __eou__ __eot__ c __eou__ __eot__ d", Intake()) == [
        ("speaker", "a\nb"), ("listener", "c"), ("speaker", "d"),
    ]  # fmt: skip


def test_a_whole_transcript_begins_with_the_speaker() -> None:
    turns = [("speaker", "a"), ("listener", "b")]
    for text in ("a __eou__ b", "Speaker 1: a\nSpeaker 2: b", "Human: a\n\nAssistant: b"):
        assert parse_text(text, Intake(), reply_follows=False) == turns


def test_conversations_of_unknown_names_are_refused_with_the_option_to_pass() -> None:
    text = "Ann: hi\nBob: hello\nAnn: I am sad\nBob: why?"
    words = r'a conversation of .Ann. and .Bob. in one text.*--role "Ann=speaker" --role "Bob=listener"'
    with pytest.raises(MalformedError, match=words):
        parse_text(text, Intake())
    intake = Intake(ReadingSettings(roles={"Ann": "speaker", "Bob": "listener"}))
    assert [role for role, _ in parse_text(text, intake) or []] == ["speaker", "listener", "speaker", "listener"]
    assert not intake.roles.unused
    with pytest.raises(MalformedError, match="a third voice 'Speaker 3'"):
        parse_text("Speaker 1: a\nSpeaker 2: b\nSpeaker 3: c", Intake())
    with pytest.raises(MalformedError, match="unknown role 'narrator'"):
        parse_text("<|im_start|>user\na<|im_end|>\n<|im_start|>narrator\nb<|im_end|>", Intake())


@pytest.mark.parametrize(
    "reply",
    [
        "Oh no.", "Assistant: Oh no.", "Listener: Oh no.", "### Response:\nOh no.", "<|assistant|>\nOh no.</s>",
        "Oh no.<|im_end|>", "<|im_start|>assistant\nOh no.<|im_end|>\n", " Oh no. __eou__", "[/INST] Oh no. </s>",
        "AI: Oh no.",
    ],
)  # fmt: skip
def test_a_reply_is_read_without_its_label_and_end_mark(reply: str) -> None:
    assert reply_text(reply.strip(), "output", Intake()) == "Oh no."


@pytest.mark.parametrize(
    "text",
    ["Do this:\nUser: bob\nthen log in.", "Ask: Human: or machine?", "Doctor: 555\nNurse: 556", "Note: a\nNote: b",
     "x [1] <b>",
     "Take two:\n\nDoctor: call him\n\nNurse: or her", "Model: T-800"],
)  # fmt: skip
def test_a_reply_that_only_quotes_is_one(text: str) -> None:
    assert reply_text(text, "output", Intake()) == text


@pytest.mark.parametrize(
    "text",
    [
        "Oh no.\n\nHuman: yes",
        "Oh no.\n\nHuman: yes\n\nAssistant: bye",
        "Oh no.\nUser: yes\nAssistant: bye",
        "Oh no.\n### Human: yes",
        "Oh no.\nSpeaker: yes",
        "Oh no.<|im_end|>\n<|im_start|>user\nyes",
        "Oh no. [INST] yes [/INST] bye",
        "Oh no. __eou__ yes",
    ],
)
def test_a_reply_that_goes_on_with_another_turn_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="'output' goes on with another turn"):
        reply_text(text, "output", Intake())


def test_alternating_counts_back_from_the_reply_or_on_from_the_first() -> None:
    assert [role for role, _ in alternating(["a", "b", "c"])] == ["speaker", "listener", "speaker"]
    assert [role for role, _ in alternating(["a", "b"])] == ["listener", "speaker"]
    assert [role for role, _ in alternating(["a", "b"], reply_follows=False)] == ["speaker", "listener"]


PIECES = ["Human:", "Assistant:", "\n\n", "\n", " ", "User:", "A:", "B:", "Q:", "</s>", "<s>", "__eou__", "hello",
          "### Human:", "<|im_start|>", "user", "[INST]", "[/INST]", "Ann:", "Speaker 1:", "Speaker 2:", "：", "**",
          "<<SYS>>", "x" * 40]  # fmt: skip


@given(text=st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=20).map("".join))
def test_any_text_gives_turns_or_one_turn_or_a_fault_and_loses_no_word_but_labels(text: str) -> None:
    try:
        turns = parse_text(text.strip().replace("\0", ""), Intake())
        reply_text(text.strip().replace("\0", ""), "output", Intake())
    except MalformedError:
        return
    for role, words in turns or []:
        assert role in ("speaker", "listener")
        assert words == words.strip()


@given(texts=st.lists(st.text("abc ,.!", min_size=1).filter(str.strip), min_size=2, max_size=9))
def test_whatever_is_joined_by_labels_is_read_back(texts: list[str]) -> None:
    names = ("Human", "Assistant")
    text = "".join(f"\n\n{names[i % 2]}: {words}" for i, words in enumerate(texts))
    turns = parse_text(text.strip(), Intake())
    assert [words for _, words in turns or []] == [words.strip() for words in texts]
