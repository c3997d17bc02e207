from efficient_empathy.llm.prompting import PromptTemplate, without_oldest


def turns(*texts):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def test_the_oldest_exchange_goes_first_and_the_user_stays_first():
    system = {"role": "system", "content": "Be kind."}
    assert without_oldest([system, *turns("a", "b", "c", "d", "e")]) == [system, *turns("c", "d", "e")]
    assert without_oldest(turns("a", "b", "c")) == turns("c")


def test_a_transcript_loses_its_oldest_line():
    context = [{"role": "speaker", "text": "One."}, {"role": "listener", "text": "Two."},
               {"role": "speaker", "text": "Three."}]  # fmt: skip
    [message] = without_oldest(PromptTemplate.load("speaker_listener").messages(context))
    assert message["content"] == "Listener: Two.\nSpeaker: Three.\nListener: "


def test_one_long_line_loses_words_until_nothing_is_left():
    messages = turns("one two three four five six seven eight nine ten")
    assert without_oldest(messages) == turns("three four five six seven eight nine ten")
    rounds = 0
    while messages:
        messages = without_oldest(messages)
        rounds += 1
    assert 3 < rounds < 12
