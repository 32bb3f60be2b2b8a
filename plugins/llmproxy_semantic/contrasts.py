"""Words of which one excludes the other, as data: classes whose members differ, and words that are opposites.

Between two semicolons is one class: what may stand in one another's place in a question, with another answer.
"""

from __future__ import annotations

from typing import Final

from llmproxy_semantic.stemming import stem


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, text.split()))


_CLASSES: Final = """
    monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun weekday weekend;
    january february march april june july august september october november december jan feb apr jun jul aug
    sep sept oct nov dec; spring summer autumn winter fall; morning noon afternoon evening night midnight dawn
    dusk breakfast lunch dinner; yesterday today tomorrow tonight week month year day hour minute second decade
    century quarter; past present future former current previous upcoming; north south east west northern
    southern eastern western left right; red green blue yellow black white brown purple pink orange grey gray
    gold silver violet; mother father brother sister son daughter wife husband uncle aunt cousin grandmother
    grandfather parent child friend boyfriend girlfriend boss colleague neighbor teacher student sibling mom dad
    nephew niece girl boy man woman roommate landlord tenant; baby infant toddler child teenager teen adult
    senior elderly kid; male female masculine feminine; dog cat horse cow pig sheep goat rabbit hamster lizard
    snake turtle parrot fish bird puppy kitten mouse rat lobster chicken duck guinea ferret frog spider bear
    lion tiger wolf fox elephant monkey; head neck shoulder elbow arm wrist hand finger thumb chest stomach back
    hip leg knee ankle foot toe eye ear nose mouth tooth tongue skin heart liver kidney lung brain; doctor nurse
    lawyer engineer teacher actor actress singer writer author journalist photographer painter architect
    accountant chef cook pilot astronaut scientist entrepreneur investor politician soldier policeman dentist
    banker programmer designer musician model dancer athlete coach professor plumber electrician farmer
    organizer consultant historian auditor economist analyst executive escort secretary waiter waitress
    psychologist pharmacist librarian; christian muslim hindu jewish buddhist sikh atheist catholic protestant
    mormon jain islam christianity hinduism buddhism judaism; gay straight lesbian bisexual transgender;
    american british indian chinese japanese german french italian spanish russian canadian australian mexican
    brazilian korean pakistani indonesian turkish greek polish dutch swedish norwegian danish finnish portuguese
    arabic hebrew latin swahili vietnamese thai bengali tamil telugu hindi urdu punjabi marathi english czech
    hungarian ukrainian persian irish scottish welsh egyptian nigerian kenyan argentine chilean peruvian
    colombian cuban austrian swiss belgian iranian iraqi israeli asian european african; america usa india china
    japan germany france italy spain russia canada australia mexico brazil korea pakistan indonesia turkey
    greece poland netherlands sweden norway denmark finland portugal egypt nigeria kenya argentina chile peru
    colombia cuba austria switzerland belgium iran iraq israel ireland scotland wales england britain uk asia
    europe africa ukraine czechia hungary romania bulgaria vietnam thailand malaysia singapore philippines
    bangladesh nepal syria yemen libya sudan ethiopia ghana gambia zambia niger mali malawi morocco algeria
    tunisia venezuela bolivia ecuador iceland slovakia slovenia serbia croatia; london paris berlin madrid rome
    tokyo beijing moscow delhi mumbai bangalore chennai hyderabad kolkata pune dubai sydney melbourne toronto
    vancouver chicago boston seattle denver austin dallas houston miami lisbon milan lima cairo nairobi dublin
    oslo vienna prague; python java javascript typescript go golang rust ruby php perl kotlin swift scala c c++
    c# haskell elixir julia matlab r bash sql lua dart clojure; json yaml xml csv toml html markdown latex pdf
    docx txt protobuf parquet table list paragraph poem essay; linux windows macos ubuntu debian android ios mac
    freebsd fedora; firefox chrome safari edge opera; mysql postgresql postgres sqlite mongodb redis oracle
    cassandra mariadb dynamodb elasticsearch; react angular vue svelte django flask rails laravel spring
    express; aws azure gcp google amazon microsoft apple facebook netflix nvidia adobe intel samsung tesla ibm
    uber twitter instagram whatsapp snapchat youtube linkedin reddit quora; docker kubernetes terraform ansible
    jenkins podman nginx apache; git svn mercurial github gitlab bitbucket; get post put delete patch; select
    insert update; dollar euro pound yen rupee franc yuan peso ruble krona usd eur gbp inr jpy cny chf; celsius
    fahrenheit kelvin; meter kilometer centimeter millimeter mile foot inch yard; gram kilogram milligram ounce
    pound stone ton tonne kg mg lb oz; liter milliliter gallon pint cup tablespoon teaspoon; byte kilobyte
    megabyte gigabyte terabyte kb mb gb tb bit; km cm mm ft; square cube circle triangle rectangle sphere
    cylinder; gold silver copper iron steel aluminum zinc lead tin nickel platinum; hydrogen oxygen nitrogen
    carbon helium sodium potassium calcium magnesium chlorine; mercury venus earth mars jupiter saturn uranus
    neptune pluto moon sun; salt sugar honey flour butter milk cream oil vinegar water rice pasta bread egg meat
    fish chicken beef pork cheese; apple banana orange lemon grape mango cherry strawberry potato tomato onion
    carrot garlic; coffee tea beer wine vodka whiskey juice soda rum gin; football soccer basketball baseball
    tennis cricket golf hockey rugby volleyball swimming boxing chess; guitar piano violin drum flute cello
    trumpet; physics chemistry biology mathematics math history geography economics philosophy psychology
    sociology law medicine; ibuprofen aspirin paracetamol acetaminophen warfarin insulin metformin penicillin
    amoxicillin morphine; diabetes cancer asthma flu cold malaria hepatitis pneumonia; formal informal casual
    humorous funny sarcastic serious sad polite friendly professional neutral angry; summary translation
    explanation outline critique review; summarize translate explain rewrite classify extract list compare
    convert outline; title sentence paragraph bullet word page chapter line; bus train plane car bicycle bike
    motorcycle ship boat taxi; boil fry bake grill roast steam; solid liquid gas plasma; sunny rainy cloudy
    snowy; vegan vegetarian carnivore; row column; client server; numerator denominator; mean median mode;
    singular plural; noun verb adjective adverb; single married divorced widowed; bachelor master phd
    undergraduate graduate
"""

_OPPOSITES: Final = """
    amtime/pmtime mandatory,compulsory,required,obligatory/optional,voluntary majority/minority
    possible/necessary allowed,permitted/required,obliged,forbidden plus/minus,times squared/cubed
    before/after more/less,fewer most/least best/worst good,great/bad,evil,poor better/worse high/low
    higher/lower highest/lowest big,large/small,little,tiny bigger,larger/smaller biggest,largest/smallest
    tall/short long/short longer/shorter longest/shortest old/new,young older/newer,younger
    oldest/newest,youngest fast,quick/slow faster,quicker/slower fastest,quickest/slowest hot,warm/cold,cool
    hotter,warmer/colder,cooler hottest,warmest/coldest,coolest light/dark,heavy lighter/heavier,darker
    strong/weak stronger/weaker strongest/weakest rich,wealthy/poor richer/poorer richest/poorest
    happy/sad,unhappy cheap,inexpensive/expensive,costly cheaper/costlier cheapest/priciest
    easy,simple/hard,difficult,complex easier/harder easiest/hardest early/late earlier/later earliest/latest
    near,close/far nearest,closest/farthest,furthest wide/narrow deep/shallow thick/thin
    start,begin,launch/stop,end,finish,quit,terminate open/close,shut install/uninstall,remove
    add/remove,delete,subtract create,make/delete,destroy,drop enable/disable
    increase,raise,grow,boost/decrease,reduce,lower,shrink,cut rise/fall gain/lose win/lose
    buy,purchase/sell,rent import/export upload/download encode/decode encrypt/decrypt
    compress/decompress,extract push/pull send/receive give/take,get lend/borrow teach/learn ask/answer
    accept,approve/reject,decline,refuse,deny allow,permit/forbid,ban,prevent,block,prohibit attack/defend
    love,like/hate,dislike help/hurt,hinder,harm support/oppose agree/disagree prove/disprove,refute
    join/leave,quit arrive/depart,leave enter/exit,leave connect/disconnect lock/unlock load/unload
    pack/unpack save/spend,delete remember/forget hire/fire pass/fail succeed/fail success/failure
    credit/debit asset/liability supply/demand profit/loss income/expense
    advantage,benefit,pro/disadvantage,drawback,con,risk strength/weakness
    cause/effect,consequence,symptom,cure,prevent maximum,max/minimum,min maximize/minimize upper/lower
    top/bottom front/back inner/outer internal/external interior/exterior public/private local/remote,global
    legal/illegal safe/dangerous,unsafe healthy/unhealthy,sick true/false right/wrong correct/incorrect
    positive/negative optimistic/pessimistic active/passive hard/soft wet/dry clean/dirty full/empty
    loud/quiet alive/dead birth/death born/die begin/end ancestor/descendant parent/child
    predecessor/successor employer/employee buyer/seller lender/borrower landlord/tenant guest/host
    input/output even/odd odd/even horizontal/vertical ascending/descending increasing/decreasing
    synchronous/asynchronous static/dynamic mutable/immutable abstract/concrete relative/absolute war/peace
    day/night sunrise/sunset indoor/outdoor domestic/foreign rural/urban natural/artificial,synthetic
    real/fake,imaginary genuine/fake ally/enemy friend/enemy hero/villain introvert/extrovert
    introverted/extroverted liberal/conservative democrat/republican left/right lose/gain weight/height
    attract/repel expand/contract freeze/melt,boil float/sink laugh/cry smile/frown sleep/wake enemy/friend
    presence/absence present/absent include/exclude included/excluded including/excluding encourage/discourage
    improve/worsen improve/damage strengthen/weaken widen/narrow lengthen/shorten simplify/complicate
    everybody/nobody always/never often/rarely all/none first/last former/latter first/second major/minor
    north/south east/west up/down in/out on/off above/below over/under inside/outside forward/backward
    agree/refuse lead/follow catch/throw lost/found virtue/vice wisdom/folly brave/cowardly
    generous/stingy,selfish humble/arrogant,proud patient/impatient religious/secular,atheist
    modern/ancient,traditional classical/modern cheap/luxury beginner/expert,advanced,professional
    amateur/professional basic/advanced novice/expert commit/revert merge/split attach/detach bind/unbind
    mount/unmount subscribe/unsubscribe follow/unfollow login/logout show/hide visible/invisible,hidden
    expand/collapse insert/remove append/prepend serialize/deserialize allocate/free,deallocate lock/release
    acquire/release build/destroy,demolish construct/demolish deploy/rollback,undeploy upgrade/downgrade
    inflate/deflate inflation/deflation promote/demote hypothermia/hyperthermia introvert/extravert
    extrovert/introvert fertile/barren guilty/innocent punish/reward praise/criticize,blame benefit/harm
    healthy/harmful beneficial/harmful useful/useless fat/thin,skinny,slim overweight/underweight lose/put
"""

#: Kinds of one thing that a question may be about: the word's stem, and the classes it is in.
CLASSES: Final[dict[str, frozenset[int]]] = {}

#: Opposites of a word's stem.
OPPOSITES: Final[dict[str, frozenset[str]]] = {}

#: Beginnings that turn a word into another, where only one side has it, or each another one.
PREFIXES: Final = _words("""
    un in im il ir dis non mis de anti counter pre post over under hyper hypo up down out inter intra macro
    micro mini mono poly multi semi super sub ex re co pro
""")

#: Ends that do.
SUFFIXES: Final = ("less", "ful", "er", "or", "ee", "est", "ism", "ist", "phobia", "phile", "free", "proof")

#: Words that change what a question is about wherever they are added.
PIVOTAL: Final = _stems("""
    want try manage become begin start stop keep fail refuse avoid able unable allow require likely unlikely
    force pretend seem fake real false true former future alleged potential aspiring retired old new young
    main free paid cheap best worst top better worse bad good great international national global local
    foreign domestic private public online offline illegal legal safe dangerous unsafe failed successful
    amateur professional famous unknown rich poor male female beginner advanced daily weekly monthly yearly
    annual average total maximum minimum possible impossible random
""")

#: Words that say the same of what stands before them and of what stands behind.
SYMMETRIC: Final = _stems("""
    married related engaged dating similar equal siblings twins cousins divorced friends acquaintance connected
    close plus neighbors colleagues
""")


def _fill() -> None:
    for number, line in enumerate(_CLASSES.split(";")):
        for word in map(stem, line.split()):
            CLASSES[word] = CLASSES.get(word, frozenset()) | {number}
    for sides in _OPPOSITES.split():
        here, there = ([stem(word) for word in side.split(",")] for side in sides.split("/"))
        for words, others in ((here, there), (there, here)):
            for word in words:
                OPPOSITES[word] = OPPOSITES.get(word, frozenset()) | frozenset(others)


_fill()
