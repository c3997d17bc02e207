import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.language import LONGEST, available, languages
from efficient_empathy.recipe import DIALOGUES

SENTENCES = {
    "en": [
        "I lost my keys on the way home and now I can't get in.", "That must have been very hard for you.",
        "What did you say to her when she called?", "We are going to the lake with the kids this weekend.",
        "He never told me that he was ill.", "It was the best day of my life!", "Do you think it will work out?",
        "My neighbour plays music until three in the morning.",
    ],
    "de": [
        "Ich habe gestern meine Schlüssel verloren und kam nicht ins Haus.", "Das tut mir sehr leid für dich.",
        "Hast du schon mit ihr gesprochen?", "Wir fahren am Wochenende mit den Kindern an den See.",
        "Er hat mir nie gesagt, dass er krank ist.", "Das war der schönste Tag in meinem Leben.",
        "Mein Nachbar spielt bis drei Uhr nachts Musik.", "Was machst du jetzt?",
    ],
    "fr": [
        "J'ai perdu mes clés hier et je ne peux pas rentrer.", "Je suis vraiment désolé pour toi.",
        "Est-ce que tu lui as déjà parlé ?", "Nous allons au lac avec les enfants ce week-end.",
        "Il ne m'a jamais dit qu'il était malade.", "C'était le plus beau jour de ma vie.",
        "Mon voisin met de la musique jusqu'à trois heures du matin.", "Qu'est-ce que tu vas faire maintenant ?",
    ],
    "es": [
        "Ayer perdí mis llaves y no puedo entrar en casa.", "Lo siento mucho por ti.", "¿Ya hablaste con ella?",
        "Vamos al lago con los niños este fin de semana.", "Nunca me dijo que estaba enfermo.",
        "Fue el mejor día de mi vida.", "Mi vecino pone música hasta las tres de la mañana.", "¿Qué vas a hacer ahora?",
    ],
    "pt": [
        "Ontem perdi as minhas chaves e não consigo entrar em casa.", "Sinto muito por você.", "Você já falou com ela?",
        "Vamos ao lago com as crianças neste fim de semana.", "Ele nunca me disse que estava doente.",
        "Foi o melhor dia da minha vida.", "O meu vizinho põe música até às três da manhã.", "O que você vai fazer?",
    ],
    "it": [
        "Ieri ho perso le chiavi e non posso entrare in casa.", "Mi dispiace molto per te.", "Le hai già parlato?",
        "Questo fine settimana andiamo al lago con i bambini.", "Non mi ha mai detto che era malato.",
        "È stato il giorno più bello della mia vita.", "Il mio vicino mette musica fino alle tre di notte.",
        "Che cosa farai adesso?",
    ],
    "nl": [
        "Ik ben gisteren mijn sleutels kwijtgeraakt en kan niet naar binnen.", "Dat vind ik heel erg voor je.",
        "Heb je al met haar gepraat?", "We gaan dit weekend met de kinderen naar het meer.",
        "Hij heeft me nooit verteld dat hij ziek was.", "Het was de mooiste dag van mijn leven.",
        "Mijn buurman draait muziek tot drie uur in de nacht.", "Wat ga je nu doen?",
    ],
    "sv": [
        "Jag tappade mina nycklar igår och kan inte komma in.", "Det är så tråkigt att höra.",
        "Har du pratat med henne?", "Vi ska åka till sjön med barnen i helgen.", "Han sa aldrig att han var sjuk.",
        "Det var den bästa dagen i mitt liv.", "Min granne spelar musik till klockan tre på natten.",
        "Vad ska du göra nu?",
    ],
    "pl": [
        "Wczoraj zgubiłem klucze i nie mogę wejść do domu.", "Bardzo mi przykro.", "Czy już z nią rozmawiałeś?",
        "Jedziemy z dziećmi nad jezioro w ten weekend.", "On nigdy mi nie powiedział, że jest chory.",
        "To był najlepszy dzień w moim życiu.", "Mój sąsiad puszcza muzykę do trzeciej w nocy.", "Co teraz zrobisz?",
    ],
    "tr": [
        "Dün anahtarlarımı kaybettim ve eve giremiyorum.", "Senin için çok üzgünüm.", "Onunla hiç konuştun mu?",
        "Bu hafta sonu çocuklarla göle gidiyoruz.", "Bana hasta olduğunu hiç söylemedi ama ben bunu anladım.",
        "Bu benim için en güzel gün oldu.", "Komşum gece üçe kadar müzik çalıyor ve bu çok kötü bir şey.",
        "Şimdi ne yapacaksın?",
    ],
    "ru": ["Вчера я потерял ключи.", "Мне очень жаль, что так вышло."],
    "uk": ["Мені дуже шкода.", "Вчора я загубила ключі від дому."],
    "zh": ["我昨天把钥匙丢了。", "好的"],
    "ja": ["昨日、鍵をなくしました。", "大丈夫ですか"],
    "ko": ["어제 열쇠를 잃어버렸어요.", "괜찮아요?"],
    "ar": ["لقد فقدت مفاتيحي أمس"],
    "el": ["Χθες έχασα τα κλειδιά μου"],
    "he": ["אתמול איבדתי את המפתחות"],
    "hi": ["कल मैंने अपनी चाबियाँ खो दीं"],
    "th": ["เมื่อวานฉันทำกุญแจหาย"],
}  # fmt: skip
FRESH = {
    "en": ["Could you stay a little longer?", "Nobody called me back.", "I burned the cake again.", "Poor thing!"],
    "de": ["Bleibst du noch ein wenig?", "Niemand hat zurückgerufen.", "Mir ist der Kuchen verbrannt.", "Du Arme!"],
    "fr": ["Tu restes encore un peu ?", "Personne ne m'a rappelé.", "J'ai encore brûlé le gâteau.", "Pauvre toi !"],
    "es": ["¿Te quedas un rato más?", "Nadie me llamó.", "Se me quemó otra vez el pastel.", "¡Pobrecita!"],
    "pt": ["Você fica mais um pouco?", "Ninguém me ligou de volta.", "Queimei o bolo outra vez.", "Coitada!"],
    "it": ["Resti ancora un po'?", "Nessuno mi ha richiamato.", "Ho bruciato di nuovo la torta.", "Poverina!"],
    "nl": ["Blijf je nog even?", "Niemand belde me terug.", "De taart is weer aangebrand.", "Arme jij!"],
    "sv": ["Stannar du en stund till?", "Ingen ringde tillbaka.", "Jag brände kakan igen.", "Stackars dig!"],
    "pl": ["Zostaniesz jeszcze chwilę?", "Nikt nie oddzwonił.", "Znowu przypaliłam ciasto.", "Biedactwo!"],
    "tr": ["Biraz daha kalır mısın?", "Kimse beni geri aramadı.", "Pastayı yine yaktım.", "Zavallım!"],
}  # fmt: skip
"""Written after the threshold was chosen."""
NO_LANGUAGE = ["Wow!", "Congratulations", "", "12345", "😀😀", "Hahaha", "OK", "Ann and Bo", "Hmm.", "lol omg"]


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_has_its_language_or_none_but_never_another(language) -> None:
    found = languages(SENTENCES[language])
    assert set(found) <= {language, None}, dict(zip(found, SENTENCES[language], strict=True))
    assert found.count(language) >= 0.5 * len(found)


def test_nine_sentences_in_ten_have_their_language() -> None:
    hits = sum(languages(texts).count(language) for language, texts in SENTENCES.items())
    assert hits >= 0.9 * sum(map(len, SENTENCES.values())), hits
    assert languages(SENTENCES["en"]) == ["en"] * 8


def test_two_thirds_of_fresh_sentences_of_a_few_words_have_their_language_and_the_rest_none() -> None:
    found = {language: languages(texts) for language, texts in FRESH.items()}
    assert all(set(some) <= {language, None} for language, some in found.items()), found
    assert sum(some.count(language) for language, some in found.items()) >= 2 / 3 * 40


def test_of_the_bundled_dialogues_all_but_a_few_turns_are_english_and_none_is_anything_else() -> None:
    lines = [line for path in sorted(DIALOGUES.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    turns = [message["content"] for line in lines for message in json.loads(line)["messages"]]
    found = languages(turns)
    assert len(found) > 1_900
    assert set(found) == {"en", None}
    assert found.count(None) < 0.01 * len(found)


def test_too_little_evidence_is_no_language() -> None:
    assert languages(NO_LANGUAGE) == [None] * len(NO_LANGUAGE)


def test_a_language_without_a_code_of_two_letters_is_none_and_a_part_of_one_has_its_code() -> None:
    neapolitan = "Me so' scurdato 'e chiave ncopp'a tavula e mo nun pozzo trasì dinto 'a casa mia."
    cantonese = "我琴日唔見咗條鎖匙,而家入唔到屋企,唔知點算好。"
    assert set(languages([neapolitan, cantonese])) <= {None, "it", "zh"}
    assert languages([cantonese]) == ["zh"]


def test_the_order_is_that_of_the_texts_and_the_end_of_a_long_one_does_not_count() -> None:
    german, english = SENTENCES["de"][0], SENTENCES["en"][0]
    assert languages([german, english, "", german]) == ["de", "en", None, "de"]
    long = (english + " ") * (LONGEST // len(english) + 1)
    assert languages([long + german * 100]) == ["en"]
    assert languages([]) == []


@given(st.lists(st.text(st.characters(codec=None), max_size=20), max_size=3))
def test_any_text_has_a_code_or_none(texts) -> None:
    found = languages(texts)
    assert len(found) == len(texts)
    assert all(one is None or (len(one) == 2 and one.islower()) for one in found)


def test_without_the_extra_the_error_says_what_installs_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid", None)
    assert not available()
    with pytest.raises(UserError, match=r'pip install "efficient-empathy\[language\]"'):
        languages(["Good morning to you all."])


def test_the_library_is_loaded_with_the_first_text_and_no_sooner() -> None:
    code = (
        "import sys; from efficient_empathy.foundation.language import available, languages; "
        "print(available(), languages([]), 'py3langid' in sys.modules); languages(['a']); "
        "print('py3langid' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["True [] False", "True"]
