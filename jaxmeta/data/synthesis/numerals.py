"""The numbers 0 to 99 in words, in ten languages."""

_SIMPLE = {
    "en-us": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis "
    "veintisiete veintiocho veintinueve",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
    "dix-huit dix-neuf",
    "it": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
    "diciassette diciotto diciannove",
    "ru": "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать "
    "четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать",
    "tr": "sıfır bir iki üç dört beş altı yedi sekiz dokuz on",
    "id": "nol satu dua tiga empat lima enam tujuh delapan sembilan sepuluh sebelas",
    "ar": "صفر واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة عشرة",
    "cmn": "零 一 二 三 四 五 六 七 八 九 十",
}
_TENS = {
    "en-us": "twenty thirty forty fifty sixty seventy eighty ninety",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
    "fr": "vingt trente quarante cinquante soixante",
    "it": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
    "ru": "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто",
    "tr": "yirmi otuz kırk elli altmış yetmiş seksen doksan",
    "ar": "عشرون ثلاثون أربعون خمسون ستون سبعون ثمانون تسعون",
}


def numeral(number: int, language: str) -> str:
    """A number in words, as it is counted: "einundzwanzig", "vingt et un", "واحد وعشرون".

    Args:
      number: 0 to 99.
      language: one of en-us, es, de, fr, it, ru, tr, id, ar and cmn. French counts as in France, in the spelling
        before 1990.
    Raises:
      ValueError: another number or language.

    >>> numeral(21, "de"), numeral(21, "fr")
    ('einundzwanzig', 'vingt et un')
    """
    if language not in _SIMPLE or not 0 <= number <= 99:
        raise ValueError(f"numeral({number}, {language!r}): numbers are 0 to 99, languages {', '.join(_SIMPLE)}.")
    simple = _SIMPLE[language].split()
    if number < len(simple):
        return simple[number]
    if language == "fr":
        return _french(number, simple)
    if language in ("id", "cmn"):
        return _by_tens(number, language, simple)
    tens, ones = divmod(number, 10)
    if language in ("ar", "tr") and tens == 1:
        return f"{simple[10]} {simple[ones]}" if language == "tr" else _arabic_teen(ones, simple)
    ten = _TENS[language].split()[tens - 2]
    return _joined(ten, simple[ones], ones, language) if ones else ten


def _joined(ten: str, one: str, ones: int, language: str) -> str:
    if language == "de":
        return f"{'ein' if ones == 1 else one}und{ten}"
    if language == "it":
        return (ten[:-1] if ones in (1, 8) else ten) + ("tré" if ones == 3 else one)
    if language == "ar":
        return f"{one} و{ten}"
    return ten + {"en-us": "-", "es": " y ", "ru": " ", "tr": " "}[language] + one


def _french(number: int, simple: list[str]) -> str:
    # Seventy is sixty-ten and eighty is four-twenties, so that 70 to 99 count on from 60 and 80.
    tens = min(number // 10, 6) if number < 80 else 8
    rest = number - 10 * tens
    if tens == 8:
        return f"quatre-vingt-{simple[rest]}" if rest else "quatre-vingts"
    ten = _TENS["fr"].split()[tens - 2]
    if rest in (1, 11):
        return f"{ten} et {simple[rest]}"
    return f"{ten}-{simple[rest]}" if rest else ten


def _by_tens(number: int, language: str, simple: list[str]) -> str:
    tens, ones = divmod(number, 10)
    one = simple[ones] if ones else ""
    if language == "cmn":
        return (simple[tens] if tens > 1 else "") + "十" + one
    return f"{one} belas" if tens == 1 else f"{simple[tens]} puluh {one}".strip()


def _arabic_teen(ones: int, simple: list[str]) -> str:
    return f"{ {1: 'أحد', 2: 'اثنا'}.get(ones) or simple[ones] } عشر"
