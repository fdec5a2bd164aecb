"""Phrases: numbers as people write them, forms that agree, meanings in one split, and a manifest of speech."""

import itertools
import re
from collections import Counter, defaultdict

import pytest

from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.synthesis.numerals import numeral
from jaxmeta.data.synthesis.phrasebook import LANGUAGES, phrases_of
from jaxmeta.data.synthesis.phrases import phrase_corpus, phrases

NUMBERS = {
    0: "zero cero null zéro zero ноль sıfır nol صفر 零",
    1: "one uno eins un uno один bir satu واحد 一",
    8: "eight ocho acht huit otto восемь sekiz delapan ثمانية 八",
    10: "ten diez zehn dix dieci десять on sepuluh عشرة 十",
    11: "eleven once elf onze undici одиннадцать on_bir sebelas أحد_عشر 十一",
    12: "twelve doce zwölf douze dodici двенадцать on_iki dua_belas اثنا_عشر 十二",
    16: "sixteen dieciséis sechzehn seize sedici шестнадцать on_altı enam_belas ستة_عشر 十六",
    17: "seventeen diecisiete siebzehn dix-sept diciassette семнадцать on_yedi tujuh_belas سبعة_عشر 十七",
    20: "twenty veinte zwanzig vingt venti двадцать yirmi dua_puluh عشرون 二十",
    21: "twenty-one veintiuno einundzwanzig vingt_et_un ventuno двадцать_один yirmi_bir dua_puluh_satu "
    "واحد_وعشرون 二十一",
    23: "twenty-three veintitrés dreiundzwanzig vingt-trois ventitré двадцать_три yirmi_üç dua_puluh_tiga ثلاثة_وعشرون "
    "二十三",
    30: "thirty treinta dreißig trente trenta тридцать otuz tiga_puluh ثلاثون 三十",
    38: "thirty-eight treinta_y_ocho achtunddreißig trente-huit trentotto тридцать_восемь otuz_sekiz "
    "tiga_puluh_delapan ثمانية_وثلاثون 三十八",
    66: "sixty-six sesenta_y_seis sechsundsechzig soixante-six sessantasei шестьдесят_шесть altmış_altı "
    "enam_puluh_enam ستة_وستون 六十六",
    71: "seventy-one setenta_y_uno einundsiebzig soixante_et_onze settantuno семьдесят_один yetmiş_bir "
    "tujuh_puluh_satu واحد_وسبعون 七十一",
    80: "eighty ochenta achtzig quatre-vingts ottanta восемьдесят seksen delapan_puluh ثمانون 八十",
    81: "eighty-one ochenta_y_uno einundachtzig quatre-vingt-un ottantuno восемьдесят_один seksen_bir "
    "delapan_puluh_satu واحد_وثمانون 八十一",
    99: "ninety-nine noventa_y_nueve neunundneunzig quatre-vingt-dix-neuf novantanove девяносто_девять doksan_dokuz "
    "sembilan_puluh_sembilan تسعة_وتسعون 九十九",
}
PHRASES = {
    # Gender and case, in the words of someone who knows the language rather than of the templates.
    "the black bag": "la bolsa negra|die schwarze Tasche|le sac noir|la borsa nera|чёрная сумка|siyah çanta|"
    "tas hitam itu|الحقيبة السوداء|黑色的包",
    "the white key": "la llave blanca|der weiße Schlüssel|la clé blanche|la chiave bianca|белый ключ|beyaz anahtar|"
    "kunci putih itu|المفتاح الأبيض|白色的钥匙",
    "bring the chair": "trae la silla|bring den Stuhl|apporte la chaise|porta la sedia|принеси стул|sandalyeyi getir|"
    "bawa kursi itu|أحضر الكرسي|把椅子拿来",
    "look for the book": "busca el libro|suche das Buch|cherche le livre|cerca il libro|ищи книгу|kitabı ara|"
    "cari buku itu|ابحث عن الكتاب|找书",
    "where is the hat": "dónde está el sombrero|wo ist der Hut|où est le chapeau|dov'è il cappello|где шляпа|"
    "şapka nerede|di mana topi itu|أين القبعة|帽子在哪里",
    "the lamp is in the garden": "la lámpara está en el jardín|die Lampe ist im Garten|la lampe est dans le jardin|"
    "la lampada è in giardino|лампа в саду|lamba bahçede|lampu itu ada di kebun|المصباح في الحديقة|灯在花园里",
    "on Tuesday at two o'clock": "el martes a las dos|am Dienstag um zwei Uhr|mardi à deux heures|martedì alle due|"
    "во вторник в два часа|salı günü saat ikide|hari Selasa pukul dua|يوم الثلاثاء الساعة الثانية|星期二两点",
}


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_written_as_people_write_them(number):
    assert " ".join(numeral(number, language).replace(" ", "_") for language in LANGUAGES) == NUMBERS[number]


def test_a_hundred_numbers_are_all_different():
    for language in LANGUAGES:
        assert len({numeral(number, language) for number in range(100)}) == 100


@pytest.mark.parametrize(("number", "language"), [(100, "es"), (-1, "es"), (5, "nl")])
def test_other_numbers_and_languages_are_refused(number, language):
    with pytest.raises(ValueError, match=rf"numeral\({number}, '{language}'\): numbers are 0 to 99, languages en-us"):
        numeral(number, language)


@pytest.mark.parametrize("meaning", PHRASES)
def test_phrases_agree(meaning):
    said = {word.language: word.text for word in phrases() if word.label == meaning}
    assert said.pop("en-us") == meaning
    assert list(said.values()) == PHRASES[meaning].split("|")


def test_every_language_says_every_meaning_once_and_each_differently():
    words = phrases()
    meanings = [word.label for word in words if word.language == "en-us"]
    assert len(meanings) == len(set(meanings)) == 312 and len(words) == 3120
    for language in LANGUAGES:
        said = [word for word in words if word.language == language]
        assert [word.label for word in said] == meanings
        assert len({word.text for word in said}) == 312
        assert all(word.text == " ".join(word.text.split()) for word in said)


def test_tables_have_one_shape_in_every_language():
    shapes = {
        str({kind: (len(t), {len(row) for row in t}) for kind, t in phrases_of(lang).items()}) for lang in LANGUAGES
    }
    assert shapes == {"{'coloured': (6, {8}), 'requests': (5, {8}), 'located': (5, {8}), 'times': (7, {12})}"}


def test_a_meaning_is_in_one_split_in_every_language():
    splits = defaultdict(set)
    for word in phrases():
        splits[word.label].add(word.split)
    assert all(len(actual) == 1 for actual in splits.values())
    counts = Counter(next(iter(actual)) for actual in splits.values())
    assert 0.6 < counts["train"] / 312 < 0.75 and counts["val"] > 25 and counts["test"] > 60


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_a_test_phrase_is_known_from_training(language):
    parts = defaultdict(set)
    for word in phrases((language,)):
        if language in ("es", "de", "it") and re.fullmatch(r"\w+", word.text):
            continue  # Numbers of one word.
        actual = word.text if language == "cmn" else re.split(r"[ -]", word.text)
        parts[word.split] |= set(actual)
    assert parts["val"] | parts["test"] <= parts["train"]


def test_a_language_does_not_depend_on_the_others():
    assert phrases(("tr",)) == tuple(word for word in phrases() if word.language == "tr")


@pytest.mark.parametrize("languages", [("nl",), (), ("es", "es")])
def test_languages_that_cannot_be_are_named(languages):
    with pytest.raises(ValueError, match=r"languages has 'nl'; phrases are|languages must be one or more"):
        phrases(languages)


def test_every_language_pronounces_its_phrases_at_their_length():
    pytest.importorskip("espeakng_loader", reason='needs pip install "jaxmeta[synth]"')
    from jaxmeta.data.synthesis.espeak import speak

    for word in phrases()[::40]:
        assert 0.2 < speak(word.text, word.language)[0].size / 22050 < 4


def test_the_corpus_has_texts_translations_and_disjoint_splits(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader", reason='needs pip install "jaxmeta[synth]"')
    monkeypatch.setattr("jaxmeta.data.synthesis.speech._write_chunk", touch)
    languages = ("es", "cmn")
    folder = phrase_corpus(tmp_path / "corpus", languages, workers=1)
    columns = read_manifest(folder).columns
    assert list(columns) == ["file_name", "transcription", "translation", "language", "speaker", "split"]
    expected = {(word.text, word.label, word.language, word.split) for word in phrases(languages)}
    names = ("transcription", "translation", "language", "split")
    assert set(zip(*(columns[name].tolist() for name in names), strict=True)) == expected
    assert len(columns["file_name"]) == 2 * 312
    for name in ("translation", "speaker"):
        held = [set(columns[name][columns["split"] == split]) for split in ("train", "val", "test")]
        assert not any(a & b for a, b in itertools.combinations(held, 2)) and all(held)


def test_a_corpus_whose_columns_were_not_finished_is_finished(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader", reason='needs pip install "jaxmeta[synth]"')
    monkeypatch.setattr("jaxmeta.data.synthesis.speech._write_chunk", touch)
    with monkeypatch.context() as stopped:
        stopped.setattr("jaxmeta.data.synthesis.phrases.write_manifest", stop)
        with pytest.raises(KeyboardInterrupt):
            phrase_corpus(tmp_path / "corpus", ("es",), voices_per_phrase=2, workers=1)
    folder = phrase_corpus(tmp_path / "corpus", ("es",), voices_per_phrase=2, workers=1)
    columns = read_manifest(folder).columns
    assert "translation" in columns and len(columns["file_name"]) == 624
    written = (folder / "metadata.csv").stat().st_mtime_ns
    phrase_corpus(folder, ("es",), voices_per_phrase=2, workers=1)
    assert (folder / "metadata.csv").stat().st_mtime_ns == written


def touch(root, utterances, sample_rate):
    for row in utterances:
        (root / row.file_name).parent.mkdir(parents=True, exist_ok=True)
        (root / row.file_name).write_bytes(b"-")
    return len(utterances)


def stop(*_):
    raise KeyboardInterrupt
