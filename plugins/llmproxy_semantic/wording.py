"""Words that say the same in several ways, as data: what the canonical form is made with."""

from __future__ import annotations

from typing import Final

#: A change of any table changes the canonical form: raise this with it, so that older entries are not found by it.
VERSION: Final = 5


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text, as data are written down here."""
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
    **{word + end: f"{word} {full}" for end, (full, stands) in _ENDINGS.items() for word in words(stands)},
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

_UNITS: Final = words("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
""")
_TENS: Final = words("twenty thirty forty fifty sixty seventy eighty ninety")

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
_ISE: Final = words("""
    agon apolog author capital categor character civil colon critic custom decentral digit econom emphas equal final
    formal general global harmon hospital ideal immun individual initial international item legal local maxim memor minim
    mobil modern monet national natural neutral normal optim organ penal personal popular prior privat public random
    rational recogn reorgan revolution satir serial social special stabil standard steril summar symbol sympath synchron
    token util vandal verbal visual
""")
_IZE: Final = _pairs("ise=ize ised=ized ises=izes ising=izing iser=izer isation=ization isations=izations")
_OUR: Final = words("col fav flav hon hum neighb rum behavi harb od vap")
_AFTER_OUR: Final = ("", *words("s ed ing ful less able ite ites hood al er ers"))

#: British and other spellings, each with the American one.
SPELLINGS: Final[dict[str, str]] = {
    **{stem + british: stem + american for stem in _ISE for british, american in _IZE.items()},
    **{f"{stem}our{end}": f"{stem}or{end}" for stem in _OUR for end in _AFTER_OUR},
    **_pairs("""
        analyse=analyze analysed=analyzed analysing=analyzing analyser=analyzer catalyse=catalyze paralyse=paralyze
        paralysed=paralyzed centre=center centres=centers centred=centered theatre=theater theatres=theaters
        metre=meter metres=meters kilometre=kilometer kilometres=kilometers centimetre=centimeter
        centimetres=centimeters litre=liter litres=liters fibre=fiber fibres=fibers catalogue=catalog
        catalogues=catalogs defence=defense offence=offense licence=license
        pretence=pretense grey=gray tyre=tire tyres=tires aluminium=aluminum aeroplane=airplane jewellery=jewelry
        mould=mold moustache=mustache plough=plow pyjamas=pajamas
        sceptical=skeptical sulphur=sulfur traveller=traveler travellers=travelers travelling=traveling
        travelled=traveled cancelled=canceled cancelling=canceling modelling=modeling modelled=modeled
        labelled=labeled labelling=labeling counsellor=counselor fulfil=fulfill enrol=enroll skilful=skillful
        ageing=aging judgement=judgment learnt=learned burnt=burned  maths=math
        paediatric=pediatric oestrogen=estrogen anaemia=anemia diarrhoea=diarrhea haemoglobin=hemoglobin
        leukaemia=leukemia e-mail=email e-mails=emails web-site=website ok=okay towards=toward afterwards=afterward
        whilst=while amongst=among
    """),
}

#: Words that add no meaning to a sentence wherever they stand.
FILLERS: Final = frozenset(words("actually indeed basically"))

#: Capitals that are a name where the small word is a word of its own.
NAMES_IN_CAPITALS: Final = frozenset(
    words("""
        US IT WHO AIDS SAD OR IN ME HE AM PM AS IS DO GO NO SO AND ART ACE CAT GAP LED PIN RAM SIM FAST SOAP REST ICE
        FIRE TIPS STEM SMART COBRA DASH MIND RAID ARM BASIC ALL ADD ACT SAT BAT CAN MAN PET POST GET PUT PATCH DELETE
        HEAD UNION JOIN CASE LAMP FLASH SEAL CHIP CARE CARES COPE MAP PAC ERA ROSE GOAT COLD ACID MARS SPAM SPIN STAR
        SWOT TEAM TRIM WASP SWAT BIRD CASH COP DARE EAR EAT FIT HAM HIP HOPE LIFT MAD MAT MOM NOW OIL OPEN PAD PIE POP
        PEN RAT RIP ROLE SAG SAM SAVE SHARP SOS SPARK SWIFT TAB TAG TAP TEN TIN TON TOP WALL WAR WASH WE BE BY IF MY OF
        ON TO UP AN AT ED PA MA HI LA MS MR AI AL AIM MAC CAD CAM GEM PAL RAP ROI SUN VAT VET WAN
    """)
)

#: Names that are a word of its own in small letters.
NAMES_LIKE_WORDS: Final = frozenset(
    words("""
        Polish Turkey China March May August Will Mark Bill Nice Reading Job Mobile Lent Mole Rich Frank Grace Hope
        Faith Joy Rose Rob Sue Pat Chase Grant Miles Drew Jack Rust Apple Amazon Shell Target Windows Spark Slack Zoom
        Signal Square Stripe Oracle Ruby Mercury Word Excel Access Outlook Teams Flask Meta Swift Go Labor Labour Grey
        Gray Tyre Calibre God LaTeX NaN Bath Cork Split Jersey Guinea Hell Chad Wales Orange Buffalo Phoenix Panama
        Cologne Champagne Snow Baker Young Black White Brown Green Butler Bishop Pope King Prince Bush Ford Usher Drake
        Ginger Sage Brandy Dawn Ivy Lily Amber Pearl Jade Robin Cliff Notion Discord Cursor Express Render Hive Crystal
        Scheme Edge Opera Steam Puma Dove Jaguar Beetle Mustang Catholic Democrat Republican
    """)
)

#: Signs of elements that stand for something else in capitals.
ELEMENTS: Final = frozenset(words("Co No Cs Hf Os Sn Pb Mg Np Po Bi Sc Nb Ni Mo Pa In Ho Ba Ca Cu La Pd"))

#: Names in questions about code that are meant however they are written.
TOOLS: Final = frozenset(
    words("""
        python java javascript typescript js sql php ruby rust kotlin scala golang bash regex html css json xml yaml
        pandas numpy linux windows mac android google amazon aws azure docker kubernetes react angular vue node django
        flask spring excel github git gitlab oracle redis heroku jenkins ubuntu debian apache nginx postgres mongo kafka
        spark hadoop visual studio code api english french spanish indian india american america
    """)
)
#: Words of questions about code, in which other capitals are part of a name or a value.
CODE_WORDS: Final = frozenset(
    words("""
        python java javascript typescript js sql php ruby rust kotlin scala golang bash regex html css json xml yaml
        pandas numpy variable variables boolean integer enum null println printf
    """)
)
