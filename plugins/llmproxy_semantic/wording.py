"""Words that say the same in several ways, as data: what the canonical form is made with."""

from __future__ import annotations

from typing import Final

#: A change of any table changes the canonical form: raise this with it, so that older entries are not found by it.
VERSION: Final = 1


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


#: What a contraction's end stands for, and the words that have it with that one reading. `'d` (had, would) has two, and
#: so has `'s` after a noun (is, has, its own).
_ENDINGS: Final = {
    "n't": ("not", "are could did do does had has have is might must need ought should was were would"),
    "nt": ("not", "could did do does has have is should was would"),
    "'s": (
        "is",
        "he she it that there here this what where when who why how everything something nothing",
    ),
    "'re": ("are", "we you they what who where there how why"),
    "'ve": ("have", "i we you they who could should would might must what"),
    "'ll": ("will", "i we you he she it they that there what who this"),
}

CONTRACTIONS: Final[dict[str, str]] = {
    **{word + end: f"{word} {full}" for end, (full, words) in _ENDINGS.items() for word in _words(words)},
    "ain't": "is not",
    "can't": "can not",
    "cannot": "can not",
    "shan't": "shall not",
    "won't": "will not",
    "let's": "let us",
    "i'm": "i am",
    "im": "i am",
    "ive": "i have",
    "y'all": "you all",
    "whats": "what is",
    "thats": "that is",
    "wheres": "where is",
    "hows": "how is",
    "youre": "you are",
    "theyre": "they are",
}

_UNITS: Final = _words("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
""")
_TENS: Final = _words("twenty thirty forty fifty sixty seventy eighty ninety")

#: Number words, up to ninety-nine.
NUMBERS: Final[dict[str, int]] = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: 10 * place for place, word in enumerate(_TENS, 2)},
    **{
        f"{tens}-{unit}": 10 * place + value
        for place, tens in enumerate(_TENS, 2)
        for value, unit in enumerate(_UNITS[1:10], 1)
    },
}

#: What multiplies the number before it.
SCALES: Final[dict[str, int]] = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}

#: Stems that are written with `-ise` and `-ize`.
_ISE: Final = _words("""
    agon apolog author capital categor character civil colon critic custom decentral digit econom emphas equal final
    formal general global harmon hospital ideal immun individual initial international item legal local maxim memor minim
    mobil modern monet national natural neutral normal optim organ penal personal popular prior privat public random
    rational recogn reorgan revolution satir serial social special stabil standard steril summar symbol sympath synchron
    token util vandal verbal visual
""")
_IZE: Final = _pairs("ise=ize ised=ized ises=izes ising=izing iser=izer isation=ization isations=izations")
_OUR: Final = _words("col fav flav hon hum lab neighb rum behavi harb od vap")
_AFTER_OUR: Final = ("", *_words("s ed ing ful less able ite ites hood al er ers"))

#: British and other spellings, each with the American one.
SPELLINGS: Final[dict[str, str]] = {
    **{stem + british: stem + american for stem in _ISE for british, american in _IZE.items()},
    **{f"{stem}our{end}": f"{stem}or{end}" for stem in _OUR for end in _AFTER_OUR},
    **_pairs("""
        analyse=analyze analysed=analyzed analysing=analyzing analyser=analyzer catalyse=catalyze paralyse=paralyze
        paralysed=paralyzed centre=center centres=centers centred=centered theatre=theater theatres=theaters
        metre=meter metres=meters kilometre=kilometer kilometres=kilometers centimetre=centimeter
        centimetres=centimeters litre=liter litres=liters fibre=fiber fibres=fibers calibre=caliber catalogue=catalog
        catalogues=catalogs dialogue=dialog dialogues=dialogs defence=defense offence=offense licence=license
        pretence=pretense grey=gray tyre=tire tyres=tires aluminium=aluminum aeroplane=airplane jewellery=jewelry
        mould=mold moustache=mustache plough=plow pyjamas=pajamas programme=program programmes=programs
        sceptical=skeptical sulphur=sulfur traveller=traveler travellers=travelers travelling=traveling
        travelled=traveled cancelled=canceled cancelling=canceling modelling=modeling modelled=modeled
        labelled=labeled labelling=labeling counsellor=counselor fulfil=fulfill enrol=enroll skilful=skillful
        ageing=aging judgement=judgment learnt=learned burnt=burned spelt=spelled mum=mom maths=math
        paediatric=pediatric oestrogen=estrogen anaemia=anemia diarrhoea=diarrhea haemoglobin=hemoglobin
        leukaemia=leukemia e-mail=email e-mails=emails web-site=website ok=okay towards=toward afterwards=afterward
        whilst=while amongst=among
    """),
}

#: Words that add no meaning to a sentence wherever they stand.
FILLERS: Final = frozenset(_words("actually indeed basically"))

#: Capitals that are a name where the small word is a word of its own.
NAMES_IN_CAPITALS: Final = frozenset(
    _words("US IT WHO AIDS SAD OR IN ME HE AM PM AS IS DO GO NO SO AND ART ACE CAT GAP LED PIN RAM SIM FAST")
)
