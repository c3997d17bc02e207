"""The commonest words of ten languages that are written in Latin letters: enough to tell one from another."""

_LISTS = {
    "en": """a an the i you he she it we they me him her us them my your his its our their this that these those
        is am are was were be been being do does did have has had having will would can could should shall
        may might must not no and or but if so because as of at by for with about to from up down in out on
        off over under then there here when where why how what which who all any some more most very just
        than too i'm you're it's that's don't didn't i've can't isn't wasn't he's she's we're they're what's
        let's i'll i'd won't doesn't oh yes yeah really got get one know think like going go said went even
        much well good now into after before again still ever never also im dont cant thats its didnt ive
        sure something thing things make made want feel day time until since every through other last lot little bit""",
    "de": """der die das den dem des ein eine einen einem einer eines ich du er sie es wir ihr mich dich mir dir
        uns euch mein meine dein deine sein seine ihre unser ist bin bist sind war waren wird werden wurde
        habe hast hat haben hatte kann kannst könnte soll will muss nicht kein keine und oder aber wenn weil
        dass als wie was wer wo warum auch noch nur schon sehr so mit von zu zum zur bei nach aus auf für an
        im am über ja nein doch mal dann jetzt""",
    "fr": """le la les un une des du de d'un d'une je tu il elle nous vous ils elles me te se mon ma mes ton ta
        tes son sa ses notre votre leur ce cet cette ces c'est est suis es sommes êtes sont était étais j'ai
        ai as a avons avez ont avait pas ne n'est que qui quoi où quand comment pourquoi et ou mais si parce
        pour avec dans sur sous chez par plus très bien aussi tout tous j'étais qu'il il y oui non alors
        d'accord être faire fait""",
    "es": """el la los las un una unos unas yo tú él ella nosotros ustedes ellos me te se lo le nos mi mis tu tus
        su sus este esta estos eso esa es soy eres somos son era fue ser estoy estás está están estaba he
        has ha hemos han había no ni y o pero si porque que qué quién cómo cuándo dónde por para con de del
        en a al sobre sin muy más también ya todo todos bien sí entonces cuando como hay tengo tiene hacer""",
    "pt": """o a os as um uma uns umas eu tu você ele ela nós vocês eles elas me te se lhe meu minha meus teu seu
        sua seus este esta isso isto é sou és somos são era foi ser estou está estão estava tenho tem têm
        tinha não nem e ou mas se porque que quem como quando onde por para com de do da dos das em no na
        nos nas ao à sobre sem muito mais também já tudo todos bem sim então há fazer pelo pela""",
    "it": """il lo la i gli le un uno una io tu lui lei noi voi loro mi ti si ci vi mio mia miei tuo tua suo sua
        nostro questo questa quello quella è sono sei siamo siete era ero stato essere ho hai ha abbiamo
        hanno aveva non né e o ma se perché che chi come quando dove per con di del della dei delle a al
        alla in nel nella su da dal molto più anche già tutto tutti bene sì allora c'è fare cosa cui ed""",
    "nl": """de het een ik jij je hij zij ze wij we jullie u mij me jou hem haar ons hun mijn jouw zijn onze dit
        dat deze die is ben bent was waren wordt werd heb hebt heeft hebben had kan kun kon zal zou moet wil
        niet geen en of maar als omdat dus want wat wie waar hoe waarom ook nog al wel heel zo met van naar
        bij uit op voor aan in te om over ja nee dan toen er nu mooi veel meer gaat goed""",
    "sv": """en ett den det de jag du han hon vi ni mig dig honom henne oss er min mitt mina din ditt dina sin
        sitt vår är var varit blir blev har hade ha kan kunde ska skulle måste vill inte ingen och eller men
        om för att eftersom som vad vem hur när varför också bara mycket så med från till på av vid efter ut
        upp över under ja nej då nu här där dem detta denna gör bra""",
    "pl": """i a w z na do o u że się nie tak to jest jestem jesteś są był była było być mam masz ma mieć ja ty
        on ona my wy oni mnie ciebie mi ci go jej nas was ich mój moja twój twoja ten ta te co kto jak kiedy
        gdzie dlaczego bo ale lub albo czy jeśli żeby już jeszcze tylko bardzo też po przy od za dla przez
        bez mogę może będzie tym tego tej dobrze""",
    "tr": """ve bir bu şu o ben sen biz siz onlar beni seni bana sana benim senin onun bizim için ile ama çok
        daha en de da ki ne nasıl neden niye nerede kim mi mı mu mü var yok değil gibi kadar sonra önce şey
        her hiç evet hayır oldu olur olan ise bile artık şimdi ya diye iyi""",
}
STOPWORDS = {language: frozenset(words.split()) for language, words in _LISTS.items()}
