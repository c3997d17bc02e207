"""Names and numbers of accounts by what a sentence says: "my username is …", "Snapchat: …", "logged in as …"."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_PLACES = (
    r"skype|discord|snap(?:chat)?|insta(?:gram)?|ig|telegram|tiktok|twitter|reddit|steam|psn|xbox|wechat|weixin|kik|"
    r"roblox|twitch|tumblr|mastodon|github|venmo|facebook|minecraft|line(?= id)"
)
_NAME = r"(?P<name>[A-Za-z0-9_][\w.:#-]{1,31}\w)"
_LABEL = re.compile(
    r"(?<!\w)(?P<label>user ?-?names?|user ?-?id|screen ?names?|login(?: name)?|gamer ?tag|account name|nick(?:name)?|"
    r"handle|account(?= ?[:=]| is)|"
    rf"(?:{_PLACES})(?: ?(?:id|name|user|username|handle|account|tag|me))?|"
    r"nombre de usuario|usuario|benutzername|nutzername|nom d'utilisateur|pseudo|identifiant|nome utente|"
    r"nome de usu[aá]rio|usu[aá]rio|gebruikersnaam|anv[aä]ndarnamn|nazwa użytkownika|логин|никнейм|имя пользователя|"
    r"用户名|账号|微信号?|ユーザー名|아이디)"
    rf"(?P<link> ?[:=] ?|'s | (?:is|was|es|lautet|ist|est|è|é|jest|är|at|as) |\s?(?:是|は|：) ?| )[\"'“«]?{_NAME}",
    re.IGNORECASE,
)
_ASKS_FOR_A_NAME = re.compile("name|pseudo|usuario|login|handle|gamer|логин|用户名|ユーザー名", re.IGNORECASE)
_OWNER = re.compile(r"\b(?:my|her|his|their|our|the)(?: \w{2,12}){0,2} $", re.IGNORECASE)
_BEHIND_A_NAME = re.compile(r"[\"'”»]?(?:$|\s*[.,;!?)\n]|\s+(?:on|there|everywhere|and|but|if|in)\b)")
_NO_NAME = frozenset({
    "account", "address", "admin", "and", "anonymous", "available", "awful", "bad", "banned", "blank", "blocked",
    "boring", "broken", "busy", "closed", "compromised", "correct", "different", "dumb", "email", "embarrassing",
    "empty", "false", "field", "fine", "forgotten", "free", "from", "funny", "gone", "good", "hard", "here",
    "hidden", "invalid", "just", "keeps", "known", "long", "lost", "mandatory", "missing", "name", "new", "none",
    "not", "nothing", "null", "okay", "old", "optional", "password", "pending", "private", "public", "required",
    "safe", "same", "secret", "short", "silly", "simple", "something", "still", "stuck", "stupid", "taken",
    "terrible", "that", "the", "there", "this", "true", "unavailable", "unique", "unknown", "user", "username",
    "valid", "visible", "weird", "what", "with", "wrong", "your",
})  # fmt: skip
_NO_NAME_ENDING = ("ed", "ing", "able", "ible", "ly", "ful", "less", "ous")
_LOGGED_IN = re.compile(rf"\b(?:logg?ed|signed|log|sign|logging|signing) ?-?in as [\"'“]?{_NAME}", re.IGNORECASE)
_ON_PLACE = re.compile(rf"\b(?:i'?m|i am|i go by|me|as|it's) {_NAME} on (?:{_PLACES})\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"\b(?:(?:account|acct\.?|user) ?(?:number|no\.?|nr\.?|id|#)|bank account|kontonummer|num[eé]ro de compte|"
    r"n[uú]mero de (?:cuenta|conta)|numero di conto|qq号?)"
    r"(?: ?[:#：] ?| (?:is|was|ist|lautet|est|es|é|è) | ?(?=[0-9]))(?P<name>[0-9](?:[ -]?[0-9]){5,16})(?![0-9A-Za-z])",
    re.IGNORECASE,
)


def accounts(text: str) -> Iterator[Span]:
    """What a sentence says is the name, or the number, of an account."""
    for match in _LABEL.finditer(text):
        if _is_formed_like_one(match["name"]) or _is_word_that_is_one(text, match):
            yield match.span("name")
    for pattern in (_LOGGED_IN, _ON_PLACE):
        yield from (match.span("name") for match in pattern.finditer(text) if _is_formed_like_one(match["name"]))
    yield from (match.span("name") for match in _NUMBER.finditer(text))


def _is_formed_like_one(name: str) -> bool:
    """Whether it is formed like an account's name and unlike a word, a number or a time."""
    has_form = re.search(r"[0-9_#]|\w[.:]\w|[a-z][A-Z]", name) and any(char.isalpha() for char in name)
    return bool(has_form) and not re.match(r"[0-9]+(?:st|nd|rd|th|[ap]m|[a-z])$", name)


def _is_word_that_is_one(text: str, match: re.Match[str]) -> bool:
    """Whether a plain word is one: where a name is asked for, behind a colon, or as all that is said of it."""
    word = match["name"].lower()
    if not _ASKS_FOR_A_NAME.search(match["label"]) or len(word) < 4 or word in _NO_NAME:
        return False
    if match["link"].strip() in (":", "=", "："):
        return True
    is_owned = match["link"].strip() == "is" and match["label"].lower() != "login" and word.isalpha()
    is_plain = is_owned and not word.endswith(_NO_NAME_ENDING) and not match["label"].lower().startswith("nick")
    return is_plain and bool(
        _OWNER.search(text, max(0, match.start() - 40), match.start()) and _BEHIND_A_NAME.match(text, match.end())
    )
