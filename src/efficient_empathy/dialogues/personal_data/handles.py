"""Names of accounts by the mark they carry: @handles, u/names, name#1234, addresses of profiles, a URL's user part."""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

_HANDLE = re.compile(
    r"(?<![]\w@./+=&%:-])@(?P<name>[A-Za-z0-9_](?:[\w.-]{0,38}\w)?)(?P<host>@[\w-]+(?:\.[\w-]+)+)?(?![\w@/(])"
)
_AT_A_PLACE = frozenset({
    "a", "all", "an", "any", "anyone", "big", "channel", "church", "class", "college", "dad", "dinner", "ease",
    "every", "everybody", "everyone", "everything", "first", "gmail", "googlemail", "grandma", "grandpa", "group",
    "gym", "her", "here", "him", "his", "home", "hotmail", "how", "infinity", "it", "its", "last", "least", "lunch",
    "me", "midnight", "mine", "moderators", "mods", "mom", "most", "mum", "my", "night", "noon", "once", "others",
    "our", "outlook", "parties", "party", "peace", "people", "present", "rest", "risk", "school", "see", "since",
    "some", "somebody", "someone", "staff", "team", "that", "the", "their", "them", "there", "these", "this",
    "those", "time", "today", "tomorrow", "tonight", "uni", "us", "user", "username", "what", "whatever", "when",
    "where", "which", "who", "whoever", "why", "will", "work", "yahoo", "you", "your",
})  # fmt: skip
"""Words that stand behind an `@` that means "at", addresses everybody, or begins a mailbox's host."""
_IN_A_PROGRAM = frozenset({
    "angular", "app", "author", "autowired", "bean", "charset", "classmethod", "component", "dataclass", "default",
    "deprecated", "example", "font-face", "import", "injectable", "interface", "keyframes", "media", "ngrx",
    "nullable", "override", "page", "param", "parameter", "property", "pytest", "request", "return", "returns",
    "staticmethod", "test", "throws", "type", "types",
})  # fmt: skip
"""Words that stand behind an `@` in a program's text."""
_NO_NAME = re.compile(
    r"[0-9]+(?:[a-z]{1,2}|[.:][0-9]+)?$|.*\.(?:com|net|org|edu|gov|io|de|fr|uk|cn|ru)$", re.IGNORECASE
)
_REDDIT = re.compile(r"(?<![\w/.])/?u/[A-Za-z0-9_-]{3,20}(?![\w/-])")
_USER_PART = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://(?P<name>[^][\s/@:?#]+(?::[^\s/@]*)?)@", re.IGNORECASE)
_PROFILE = re.compile(
    r"(?<![\w.-])(?:[a-z]{1,7}\.)?(?:(?:instagram|twitter|x|facebook|fb|tiktok|github|gitlab|vk|pinterest|soundcloud|"
    r"patreon|flickr|venmo)\.com/@?|threads\.net/@|twitch\.tv/|t\.me/|paypal\.me/|ko-fi\.com/|linkedin\.com/in/|"
    r"reddit\.com/u(?:ser)?/|youtube\.com/@|medium\.com/@|snapchat\.com/add/|steamcommunity\.com/id/|cash\.app/\$)"
    r"(?P<name>[A-Za-z0-9_](?:[\w.-]{0,50}\w)?)",
    re.IGNORECASE,
)
_NO_PROFILE = frozenset({
    "about", "accounts", "ads", "apps", "blog", "business", "careers", "channel", "company", "contact",
    "developers", "direct", "discover", "download", "enterprise", "events", "explore", "features", "feed", "groups",
    "hashtag", "help", "home", "i", "intent", "issues", "jobs", "join", "joinchat", "legal", "live", "login",
    "marketplace", "messages", "music", "notifications", "organizations", "orgs", "p", "pages", "people", "photo",
    "photos", "pin", "pricing", "privacy", "profile.php", "pub", "pulls", "reel", "reels", "s", "search",
    "security", "settings", "share", "sharer", "sharer.php", "shop", "shorts", "signup", "site", "sponsors",
    "status", "stories", "support", "tag", "terms", "topics", "trending", "tv", "video", "videos", "watch",
})  # fmt: skip
_TAG = re.compile(r"(?<![\w#])(?P<name>(?=[\w.]*[^\W\d])[\w.]{3,32}#[0-9]{4})(?!\w)")
_NO_TAG = re.compile(
    r"(?:issue|ticket|order|case|room|bug|item|part|unit|suite|apt|number|page|episode|invoice)#", re.IGNORECASE
)


def handles(text: str) -> Iterator[Span]:
    """Names of accounts with the mark before them (`@`, `u/`); of an address the name alone."""
    if "@" in text:
        yield from (match.span() for match in _HANDLE.finditer(text) if match["host"] or _is_handle(match["name"]))
    if "/" in text:
        yield from (match.span() for match in _REDDIT.finditer(text))
        yield from (match.span("name") for match in _USER_PART.finditer(text))
        yield from (match.span("name") for match in _PROFILE.finditer(text) if match["name"].lower() not in _NO_PROFILE)
    if "#" in text:
        yield from (match.span("name") for match in _TAG.finditer(text) if not _NO_TAG.match(match["name"]))


def _is_handle(name: str) -> bool:
    word = name.lower()
    return len(name) > 1 and word not in _AT_A_PLACE and word not in _IN_A_PROGRAM and not _NO_NAME.match(name)
