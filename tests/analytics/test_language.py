import polars as pl
import pytest

from efficient_empathy.analytics.language import UNKNOWN, commonest, languages
from efficient_empathy.analytics.texts import words

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
    "cyrillic": ["Вчера я потерял ключи.", "Мені дуже шкода.", "ОК, спасибо"],
    "zh": ["我昨天把钥匙丢了。", "好的"],
    "ja": ["昨日、鍵をなくしました。", "大丈夫ですか"],
    "ko": ["어제 열쇠를 잃어버렸어요.", "괜찮아요?"],
    "arabic": ["لقد فقدت مفاتيحي أمس"],
    "greek": ["Χθες έχασα τα κλειδιά μου"],
    "hebrew": ["אתמול איבדתי את המפתחות"],
    "devanagari": ["कल मैंने अपनी चाबियाँ खो दीं"],
    "thai": ["เมื่อวานฉันทำกุญแจหาย"],
}  # fmt: skip
NO_LANGUAGE = ["Wow!", "Congratulations", "", "12345", "😀😀", "Hahaha", "OK", "Ann and Bo", "Hmm.", "lol omg"]


def told(texts):
    return languages(words(pl.Series(texts, dtype=pl.String)))


@pytest.mark.parametrize("language", SENTENCES)
def test_sentences_are_told_or_left_open_but_never_taken_for_another(language) -> None:
    found = told(SENTENCES[language])
    assert set(found) <= {language, UNKNOWN}, dict(zip(found, SENTENCES[language], strict=True))
    assert sum(one == language for one in found) >= 0.5 * len(found)


def test_three_quarters_of_short_latin_sentences_are_told() -> None:
    latin = {name: texts for name, texts in SENTENCES.items() if len(texts) == 8}
    hits = sum(one == name for name, texts in latin.items() for one in told(texts))
    assert hits >= 0.75 * sum(map(len, latin.values())), hits
    assert told(SENTENCES["en"]) == ["en"] * 8


def test_too_little_evidence_is_no_language() -> None:
    assert told(NO_LANGUAGE) == [UNKNOWN] * len(NO_LANGUAGE)


def test_the_usual_language_is_that_of_most() -> None:
    assert commonest(["en", "de", "en", UNKNOWN, UNKNOWN, UNKNOWN]) == "en"
    assert commonest([UNKNOWN]) == UNKNOWN
    assert commonest(["fr", "de"]) == "de"
