"""Rewording by rules: synonyms, contractions, names, numbers, punctuation, case, fillers, and the order of clauses.

There are two sets with other words and other rules: filters are tuned on the first alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence

Change = Callable[[str, random.Random], str]


def synonyms(pairs: str) -> dict[str, str]:
    """`word=other`, both ways; `_` stands for a blank."""
    split = [one.replace("_", " ").split("=") for one in pairs.split()]
    return {**{other: word for word, other in split}, **dict(split)}


def words_in(text: str) -> list[str]:
    return text.split()


TUNING_WORDS = synonyms("""
scared=frightened sad=unhappy happy=glad angry=mad big=huge small=little house=home job=work car=vehicle kids=children
mom=mother dad=father friend=buddy boss=manager money=cash begin=start began=started buy=purchase bought=purchased
help=assist think=believe thought=believed hear=learn feel=sense felt=sensed terrible=awful great=wonderful kid=child
tired=exhausted afraid=fearful sure=certain quick=fast yesterday=the_day_before today=this_day tomorrow=the_next_day
night=evening old=aged whole=entire talk=speak talked=spoke told=informed asked=inquired got=received gave=handed
went=travelled left=departed came=arrived found=discovered lost=misplaced broke=smashed fell=dropped hurt=injured
really=truly very=extremely just=simply always=constantly never=at_no_time maybe=perhaps finally=at_last only=merely
amazing=incredible beautiful=lovely strange=odd funny=amusing smart=clever stupid=dumb lonely=alone took=grabbed
party=celebration trip=journey store=shop street=road town=city test=exam school=college teacher=instructor sick=ill
doctor=physician dog=puppy cat=kitten baby=infant husband=spouse girl=young_lady boy=lad man=guy woman=lady people=folks
week=seven_days year=twelve_months month=four_weeks minute=moment morning=dawn early=ahead_of_time nice=pleasant
sorry=apologetic hope=trust wish=want love=adore like=enjoy hate=detest need=require try=attempt tried=attempted
keep=hold kept=held let=allow make=create made=created see=notice saw=noticed look=glance looked=glanced hard=difficult
wait=hang_on call=phone called=phoned email=message letter=note wonderful=fantastic proud=pleased
""")
HELD_OUT_WORDS = synonyms("""
terrified=petrified upset=distressed joyful=cheerful furious=livid enormous=massive tiny=minute apartment=flat mum=mama
grandma=granny grandpa=granddad brother=sibling mate=pal supervisor=boss dollars=bucks commenced=began position=post
obtained=acquired support=aid reckon=suppose understand=get horrible=dreadful excellent=superb kind=sweet tough=rough
weary=worn_out anxious=nervous definitely=for_certain rapid=swift tonight=this_evening elderly=old complete=full
chat=converse said=stated ask=query get=obtain give=pass take=carry go=head leave=exit come=show_up also=as_well
find=locate lose=mislay break=crack fall=tumble unwell=poorly actually=in_fact so=that too=overly good=fine bad=lousy
often=frequently rarely=seldom soon=before_long still=even_now again=once_more almost=nearly enough=sufficient
gorgeous=stunning weird=peculiar hilarious=comical bright=brilliant silly=foolish isolated=cut_off new=brand-new
wedding=marriage vacation=holiday market=supermarket village=hamlet quiz=exam university=college tutor=coach
nurse=carer hound=dog wife=partner fellow=chap everyone=everybody someone=somebody nobody=no_one day=date
hour=sixty_minutes evening=dusk late=behind_time expect=anticipate desire=crave cherish=treasure much=a_lot
dislike=loathe must=have_to effort=attempt remain=stay permit=let build=construct spot=catch stare=gaze many=lots_of
pause=stop ring=dial text=sms big=sizeable thing=item things=stuff way=manner place=spot room=chamber door=entrance
know=realise knew=realised want=would_like wanted=wished work=labour worked=toiled live=reside lived=resided
bring=fetch brought=fetched put=placed sit=be_seated sat=was_seated walk=stroll walked=strolled run=jog window=pane
""")
CONTRACTIONS = synonyms(
    "I'm=I_am don't=do_not can't=cannot it's=it_is that's=that_is didn't=did_not I've=I_have you're=you_are "
    "won't=will_not I'd=I_would I'll=I_will isn't=is_not wasn't=was_not they're=they_are he's=he_is she's=she_is "
    "we're=we_are couldn't=could_not wouldn't=would_not doesn't=does_not what's=what_is there's=there_is"
)
TUNING_NAMES = words_in("Anna Ben Clara David Emma Felix Greta Henry Ida Jonas Karl Lena Mario Nora Oscar Paula")
HELD_OUT_NAMES = words_in("Aisha Bogdan Chidi Divya Eun Farid Giulia Hiroshi Imani Jorge Kateryna Luan Mei Nadia Omar")
TUNING_FILLERS = ("well,", "you know,", "honestly,", "I mean,", "to be honest,")
HELD_OUT_FILLERS = ("so yeah,", "look,", "like I said,", "truth be told,", "oh,", "basically")
NUMBERS = words_in("two three four five six seven eight nine ten")
DROPPED = {"a", "the", "just", "so", "really", "very", "quite", "that", "and"}


def replace_words(text: str, words: Mapping[str, str], rate: float, rng: random.Random) -> str:
    def change(found: re.Match[str]) -> str:
        other = words.get(found[0].lower())
        if other is None or rng.random() > rate:
            return found[0]
        return other.capitalize() if found[0][0].isupper() else other

    return re.sub(r"[A-Za-z]+", change, text)


def contract(text: str, rng: random.Random) -> str:
    """What is contracted is written out, and the other way round."""
    every = re.compile(rf"\b({'|'.join(CONTRACTIONS)})\b")
    return every.sub(lambda found: CONTRACTIONS[found[0]] if rng.random() < 0.8 else found[0], text)


def rename(text: str, names: Sequence[str], rng: random.Random) -> str:
    others: dict[str, str] = {}
    name = re.compile(r"(?<=[a-z,] )(?!I\b|God\b|OK\b)([A-Z][a-z]+)\b")
    return name.sub(lambda found: others.setdefault(found[1], rng.choice(names)), text)


def renumber(text: str, rng: random.Random) -> str:
    text = re.sub(rf"\b(?:{'|'.join(NUMBERS)})\b", lambda _: rng.choice(NUMBERS), text)
    return re.sub(r"\b\d{1,8}\b", lambda found: str(int(found[0]) + rng.randint(1, 9)), text)


def punctuate(text: str, rng: random.Random) -> str:
    kind = rng.randrange(4)
    if kind == 0:
        return re.sub(r"[,;:]", "", text)
    if kind == 1:
        return re.sub(r"[.!?]+", "...", text)
    return text.replace(".", "!").replace(",", " -") if kind == 2 else re.sub(r"[^\w\s']", "", text)


def recase(text: str, rng: random.Random) -> str:
    return rng.choice([str.lower, str.upper, str.title, str])(text)


def fill(text: str, fillers: Sequence[str], rng: random.Random) -> str:
    sentences = re.split(r"(?<=[.!?]) ", text)
    return " ".join(f"{rng.choice(fillers)} {one}" if rng.random() < 0.4 else one for one in sentences)


def clauses(text: str) -> list[str]:
    conjunction = r"\s+(?=(?:and|but|because|so|when|while|since|although)\s)"
    parts = (one.strip(" ,;:.!?-") for one in re.split(rf"[.!?;:]+\s*|,\s+|{conjunction}", text))
    return [one for one in parts if one]


def shuffle_clauses(text: str, rng: random.Random) -> str:
    parts = clauses(text)
    if len(parts) < 2:
        words = text.split()
        return " ".join(words[len(words) // 2 :] + words[: len(words) // 2])
    return ", ".join(rng.sample(parts, len(parts))) + "."


def reverse_sentences(text: str, rng: random.Random) -> str:
    """The last sentence first, and within each what stands behind a comma or a conjunction."""
    sentences = reversed([one for one in re.split(r"(?<=[.!?])\s+", text) if one.strip()])
    return ". ".join(" ".join(reversed(clauses(one))).capitalize() for one in sentences) + "."


def drop_words(text: str, rng: random.Random) -> str:
    return " ".join(one for one in text.split() if one.lower() not in DROPPED or rng.random() < 0.4)


def mistype(text: str, rng: random.Random) -> str:
    def change(found: re.Match[str]) -> str:
        word = found[0]
        if rng.random() > 0.08:
            return word
        at = rng.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return re.sub(r"[A-Za-z]{5,}", change, text)


def reword_tuning(text: str, rng: random.Random) -> str:
    text = rename(contract(replace_words(text, TUNING_WORDS, 0.8, rng), rng), TUNING_NAMES, rng)
    return recase(punctuate(fill(text, TUNING_FILLERS, rng) if rng.random() < 0.5 else text, rng), rng)


def reword_held_out(text: str, rng: random.Random) -> str:
    text = rename(contract(replace_words(text, HELD_OUT_WORDS, 0.9, rng), rng), HELD_OUT_NAMES, rng)
    text = fill(renumber(text, rng), HELD_OUT_FILLERS, rng)
    return punctuate(mistype(drop_words(text, rng) if rng.random() < 0.5 else text, rng), rng)


KINDS: Mapping[str, Mapping[str, Change]] = {
    "tuning": {
        "verbatim": lambda text, rng: text,
        "reworded": reword_tuning,
        "clauses in another order": shuffle_clauses,
        "both": lambda text, rng: reword_tuning(shuffle_clauses(text, rng), rng),
    },
    "held out": {
        "verbatim": lambda text, rng: recase(punctuate(text, rng), rng),
        "reworded": reword_held_out,
        "clauses in another order": reverse_sentences,
        "both": lambda text, rng: reword_held_out(reverse_sentences(text, rng), rng),
    },
}
"""How a copy is disguised, by set and kind."""
