"""English words that the press writes with a full stop inside a sentence, lower-cased and without it.

Left out is what ends sentences more often in dialogue (etc., no., in., ex., min., hr.), and e.g., i.e., p.s., after
which the splitter to agree with ends one. It learnt from newspapers: "ok", "ill" and "pa" are Oklahoma, Illinois and
Pennsylvania.
"""

from string import ascii_lowercase

_TITLES = """
adm asst atty brig capt cdr cmdr col cpl det dr esq fr gen gov hon insp jr lt ltd maj messrs mr mrs ms mx msgr mssrs
ofc prof pvt rep reps rev sen sgt sr st supt treas
"""
_NAMES_OF_TIME = "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri a.m p.m a.d b.c"
_PLACES = """
ave blvd bldg ct dept hwy ft rd rte u.k u.s u.s.a u.n u.s.s.r d.c l.a n.y n.j n.c s.c n.h r.i n.m ala ariz ark
calif colo conn fla ga ill ind kan ky md mich minn mont neb nev ok okla ore pa penn tenn tex va vt wash wis wyo
"""
_FIRMS_AND_DEGREES = """
assn assoc bros co corp cos inc int'l llc l.l.c plc b.a m.a m.b.a m.s ph.d d.d.s j.d r.n c.e.o c.f.o
"""
_IN_PRINT = "approx avg cf ed eds eg est et al fig figs incl misc nos orig pp p.o ref resp vol vols vs w.r.t"
_MEASURES = "mg oz"

_ALL = (_TITLES, _NAMES_OF_TIME, _PLACES, _FIRMS_AND_DEGREES, _IN_PRINT, _MEASURES)
ABBREVIATIONS = frozenset(word for words in _ALL for word in words.split()) | frozenset(ascii_lowercase)
