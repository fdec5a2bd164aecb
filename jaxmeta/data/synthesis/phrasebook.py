"""Short phrases that mean the same in ten languages, in forms that agree in gender, case and vowel harmony.

Eight things, each with six colours ("the red book"), under five requests and questions ("bring the book"), in five
places ("the book is in the kitchen"); and twelve hours of seven days ("on Monday at one o'clock"). Definite things are
meant throughout; Russian, Turkish and Mandarin have no word for it.
"""

from typing import NamedTuple


class Language(NamedTuple):
    """The forms of one language; those of the same place in two lists of things go together."""

    things: str
    """Bare nouns, the subject's form."""
    articles: str = ""
    """Of the subject, where there are any."""
    objects: str = ""
    """Nouns in the object's form, where it is another."""
    object_articles: str = ""
    """Where they are others."""
    feminine: str = "--------"
    """"f" where the colour takes its second form."""
    colours: tuple[str, ...] = ()
    """First forms, then second forms where there are any."""
    coloured: str = "{article} {thing} {colour}"
    """"{article}", "{thing}" and "{colour}"."""
    requests: str = ""
    """"{subject}" or "{object}", which are a thing with its article."""
    located: str = "{subject} {place}"
    """"{subject}" and "{place}"."""
    places: str = ""
    time: str = "{day} {hour}"
    """"{day}" and "{hour}"."""
    days: str = ""
    """From Monday on."""
    hours: str = ""
    """From one to twelve."""


LANGUAGES = {
    "en-us": Language(
        things="book bag box bottle chair lamp hat key",
        articles="the the the the the the the the",
        colours=("red blue green black white yellow",),
        coloured="{article} {colour} {thing}",
        requests="give me {object}|bring {object}|look for {object}|where is {subject}|I have {object}",
        located="{subject} is in the {place}",
        places="kitchen garden school office car",
        time="on {day} at {hour} o'clock",
        days="Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        hours="one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve",
    ),
    "es": Language(
        things="libro bolsa caja botella silla lámpara sombrero llave",
        articles="el la la la la la el la",
        feminine="-fffff-f",
        colours=("rojo azul verde negro blanco amarillo", "roja azul verde negra blanca amarilla"),
        requests="dame {object}|trae {object}|busca {object}|dónde está {subject}|tengo {object}",
        located="{subject} está en {place}",
        places="la cocina|el jardín|la escuela|la oficina|el coche",
        time="el {day} {hour}",
        days="lunes martes miércoles jueves viernes sábado domingo",
        hours="a la una|a las dos|a las tres|a las cuatro|a las cinco|a las seis|a las siete|a las ocho|a las nueve|"
        "a las diez|a las once|a las doce",
    ),
    "de": Language(
        things="Buch Tasche Kiste Flasche Stuhl Lampe Hut Schlüssel",
        articles="das die die die der die der der",
        object_articles="das die die die den die den den",
        colours=("rote blaue grüne schwarze weiße gelbe",),
        coloured="{article} {colour} {thing}",
        requests="gib mir {object}|bring {object}|suche {object}|wo ist {subject}|ich habe {object}",
        located="{subject} ist {place}",
        places="in der Küche|im Garten|in der Schule|im Büro|im Auto",
        time="am {day} um {hour} Uhr",
        days="Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
        hours="ein|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf",
    ),
    "fr": Language(
        things="livre sac boîte bouteille chaise lampe chapeau clé",
        articles="le le la la la la le la",
        feminine="--ffff-f",
        colours=("rouge bleu vert noir blanc jaune", "rouge bleue verte noire blanche jaune"),
        requests="donne-moi {object}|apporte {object}|cherche {object}|où est {subject}|j'ai {object}",
        located="{subject} est dans {place}",
        places="la cuisine|le jardin|l'école|le bureau|la voiture",
        time="{day} à {hour}",
        days="lundi mardi mercredi jeudi vendredi samedi dimanche",
        hours="une heure|deux heures|trois heures|quatre heures|cinq heures|six heures|sept heures|huit heures|"
        "neuf heures|dix heures|onze heures|douze heures",
    ),
    "it": Language(
        things="libro borsa scatola bottiglia sedia lampada cappello chiave",
        articles="il la la la la la il la",
        feminine="-fffff-f",
        colours=("rosso blu verde nero bianco giallo", "rossa blu verde nera bianca gialla"),
        requests="dammi {object}|porta {object}|cerca {object}|dov'è {subject}|ho {object}",
        located="{subject} è {place}",
        places="in cucina|in giardino|a scuola|in ufficio|in macchina",
        time="{day} {hour}",
        days="lunedì martedì mercoledì giovedì venerdì sabato domenica",
        hours="all'una|alle due|alle tre|alle quattro|alle cinque|alle sei|alle sette|alle otto|alle nove|alle dieci|"
        "alle undici|alle dodici",
    ),
    "ru": Language(
        things="книга сумка коробка бутылка стул лампа шляпа ключ",
        objects="книгу сумку коробку бутылку стул лампу шляпу ключ",
        feminine="ffff-ff-",
        colours=("красный синий зелёный чёрный белый жёлтый", "красная синяя зелёная чёрная белая жёлтая"),
        coloured="{colour} {thing}",
        requests="дай мне {object}|принеси {object}|ищи {object}|где {subject}|{subject} у меня",
        places="на кухне|в саду|в школе|в офисе|в машине",
        days="в понедельник|во вторник|в среду|в четверг|в пятницу|в субботу|в воскресенье",
        hours="в час|в два часа|в три часа|в четыре часа|в пять часов|в шесть часов|в семь часов|в восемь часов|"
        "в девять часов|в десять часов|в одиннадцать часов|в двенадцать часов",
    ),
    "tr": Language(
        things="kitap çanta kutu şişe sandalye lamba şapka anahtar",
        objects="kitabı çantayı kutuyu şişeyi sandalyeyi lambayı şapkayı anahtarı",
        colours=("kırmızı mavi yeşil siyah beyaz sarı",),
        coloured="{colour} {thing}",
        requests="bana {object} ver|{object} getir|{object} ara|{subject} nerede|{subject} bende",
        places="mutfakta bahçede okulda ofiste arabada",
        time="{day} günü saat {hour}",
        days="pazartesi salı çarşamba perşembe cuma cumartesi pazar",
        hours="birde|ikide|üçte|dörtte|beşte|altıda|yedide|sekizde|dokuzda|onda|on birde|on ikide",
    ),
    "id": Language(
        things="buku tas kotak botol kursi lampu topi kunci",
        colours=("merah biru hijau hitam putih kuning",),
        coloured="{thing} {colour} itu",
        requests="beri saya {object} itu|bawa {object} itu|cari {object} itu|di mana {subject} itu|"
        "{subject} itu ada pada saya",
        located="{subject} itu ada di {place}",
        places="dapur kebun sekolah kantor mobil",
        time="hari {day} pukul {hour}",
        days="Senin Selasa Rabu Kamis Jumat Sabtu Minggu",
        hours="satu|dua|tiga|empat|lima|enam|tujuh|delapan|sembilan|sepuluh|sebelas|dua belas",
    ),
    "ar": Language(
        things="الكتاب الحقيبة الصندوق الزجاجة الكرسي المصباح القبعة المفتاح",
        feminine="-f-f--f-",
        colours=("الأحمر الأزرق الأخضر الأسود الأبيض الأصفر", "الحمراء الزرقاء الخضراء السوداء البيضاء الصفراء"),
        coloured="{thing} {colour}",
        requests="أعطني {object}|أحضر {object}|ابحث عن {object}|أين {subject}|{subject} معي",
        located="{subject} في {place}",
        places="المطبخ الحديقة المدرسة المكتب السيارة",
        time="يوم {day} الساعة {hour}",
        days="الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد",
        hours="الواحدة|الثانية|الثالثة|الرابعة|الخامسة|السادسة|السابعة|الثامنة|التاسعة|العاشرة|الحادية عشرة|"
        "الثانية عشرة",
    ),
    "cmn": Language(
        things="书 包 盒子 瓶子 椅子 灯 帽子 钥匙",
        colours=("红色 蓝色 绿色 黑色 白色 黄色",),
        coloured="{colour}的{thing}",
        requests="把{object}给我|把{object}拿来|找{object}|{subject}在哪里|{subject}在我这里",
        located="{subject}在{place}",
        places="厨房里 花园里 学校里 办公室里 车里",
        time="{day}{hour}",
        days="星期一 星期二 星期三 星期四 星期五 星期六 星期日",
        hours="一点|两点|三点|四点|五点|六点|七点|八点|九点|十点|十一点|十二点",
    ),
}  # fmt: skip


def phrases_of(language: str) -> dict[str, list[list[str]]]:
    """The phrases of a language, one of `LANGUAGES`, by kind: "coloured", "requests", "located" and "times".

    Each kind is a table, [6, 8], [5, 8], [5, 8] and [7, 12]; the same place in two languages means the same.
    """
    forms = LANGUAGES[language]
    things, places, days, hours = (_items(text) for text in (forms.things, forms.places, forms.days, forms.hours))
    articles = forms.articles.split() or [""] * len(things)
    subjects = _with_articles(articles, things)
    objects = _with_articles(forms.object_articles.split() or articles, forms.objects.split() or things)
    both = list(zip(subjects, objects, strict=True))
    colours = zip(*(text.split() for text in (forms.colours[0], forms.colours[-1])), strict=True)
    rows = list(zip(articles, things, forms.feminine, strict=True))
    return {
        "coloured": [[_coloured(forms.coloured, row, colour) for row in rows] for colour in colours],
        "requests": [[text.format(subject=s, object=o) for s, o in both] for text in _items(forms.requests)],
        "located": [[forms.located.format(subject=subject, place=place) for subject in subjects] for place in places],
        "times": [[forms.time.format(day=day, hour=hour) for hour in hours] for day in days],
    }


def _coloured(template: str, row: tuple[str, str, str], colour: tuple[str, str]) -> str:
    article, thing, gender = row
    return template.format(article=article, thing=thing, colour=colour[gender == "f"])


def _with_articles(articles: list[str], things: list[str]) -> list[str]:
    return [f"{article} {thing}".strip() for article, thing in zip(articles, things, strict=True)]


def _items(text: str) -> list[str]:
    return text.split("|") if "|" in text else text.split()
