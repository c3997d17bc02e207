"""Texts that are made to trip a tokeniser up, for hypothesis."""

from hypothesis import strategies as st

_WORDS = "a the sad é ß ſ İ 😀 5 3.5 u.s. cannot gonna wanna 'tis 'twas d'ye more'n gimme n't 's 'll N'T ... -- '' ``"
_PIECES = [*" ..,:;?!\"'`()[]{}<>«“‘„»”’-–—…*@#$%&\t\n\xa0", *_WORDS.split()]
AWKWARD_TEXTS = st.lists(st.sampled_from(_PIECES), max_size=14).map("".join) | st.text(max_size=30)
