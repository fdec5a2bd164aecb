"""Words to speak: the type, a small built-in list in ten languages, and the comparison that keeps test words out."""

import functools
import unicodedata
from collections.abc import Collection, Sequence
from typing import NamedTuple


class Word(NamedTuple):
    """A text to be spoken, and the class that its recordings belong to."""

    text: str
    """In the script of the language."""
    language: str
    """espeak-ng's code, such as "de" or "cmn-latn-pinyin"."""
    label: str
    split: str = "train"
    """One of train, val and test; becomes the column word_split."""


_MEANINGS = {
    # No meaning is in two splits, in any language: "sechs" for training would tell something about "six".
    "train": "five seven ten red blue green black open close start water house morning window doctor",
    "val": "one three nine right night white",
    "test": "two four six eight left stop yellow music kitchen",
}
_WORDS = {
    "en-us": "five seven ten red blue green black open close start water house morning window doctor "
    "one three nine right night white two four six eight left stop yellow music kitchen",
    "es": "cinco siete diez rojo azul verde negro abrir cerrar empezar agua casa mañana ventana médico "
    "uno tres nueve derecha noche blanco dos cuatro seis ocho izquierda parar amarillo música cocina",
    "de": "fünf sieben zehn rot blau grün schwarz öffnen schließen anfangen Wasser Haus Morgen Fenster Arzt "
    "eins drei neun rechts Nacht weiß zwei vier sechs acht links anhalten gelb Musik Küche",
    "fr": "cinq sept dix rouge bleu vert noir ouvrir fermer commencer eau maison matin fenêtre docteur "
    "un trois neuf droite nuit blanc deux quatre six huit gauche arrêter jaune musique cuisine",
    "it": "cinque sette dieci rosso blu verde nero aprire chiudere iniziare acqua casa mattina finestra medico "
    "uno tre nove destra notte bianco due quattro sei otto sinistra fermare giallo musica cucina",
    "ru": "пять семь десять красный синий зелёный чёрный открыть закрыть начать вода дом утро окно врач "
    "один три девять направо ночь белый два четыре шесть восемь налево стоп жёлтый музыка кухня",
    "tr": "beş yedi on kırmızı mavi yeşil siyah aç kapat başla su ev sabah pencere doktor "
    "bir üç dokuz sağ gece beyaz iki dört altı sekiz sol dur sarı müzik mutfak",
    "id": "lima tujuh sepuluh merah biru hijau hitam buka tutup mulai air rumah pagi jendela dokter "
    "satu tiga sembilan kanan malam putih dua empat enam delapan kiri berhenti kuning musik dapur",
    "ar": "خمسة سبعة عشرة أحمر أزرق أخضر أسود افتح أغلق ابدأ ماء بيت صباح نافذة طبيب "
    "واحد ثلاثة تسعة يمين ليل أبيض اثنان أربعة ستة ثمانية يسار توقف أصفر موسيقى مطبخ",
    "cmn": "五 七 十 红色 蓝色 绿色 黑色 打开 关闭 开始 水 房子 早上 窗户 医生 "
    "一 三 九 右边 夜晚 白色 二 四 六 八 左边 停止 黄色 音乐 厨房",
}


def default_words(languages: Sequence[str] | None = None, *, exclude: Collection[str] = ()) -> tuple[Word, ...]:
    """Return thirty everyday words (numbers, colours, commands, things) in each of ten languages, with splits.

    The splits are by meaning, whatever the language; labels are "language_meaning" with the English meaning. A word
    whose text was already given for an earlier language (Italian "verde" after Spanish "verde") is left out.
    Args:
      languages: espeak-ng codes among those of this file; None takes all.
      exclude: English meanings, or texts in any language, to leave out; a word that contains one is left out too.
    Raises:
      ValueError: no words are built in for a language.
    """
    meanings = [(meaning, split) for split, listed in _MEANINGS.items() for meaning in listed.split()]
    words: dict[str, Word] = {}
    for language in languages or tuple(_WORDS):
        if language not in _WORDS:
            raise ValueError(f"languages has {language!r}; words are built in for {', '.join(_WORDS)}.")
        for text, (meaning, split) in zip(_WORDS[language].split(), meanings, strict=True):
            if not (contains_excluded(text, exclude) or contains_excluded(meaning, exclude)):
                words.setdefault(letters(text), Word(text, language, f"{language}_{meaning}", split))
    return tuple(words.values())


def contains_excluded(text: str, exclude: Collection[str]) -> bool:
    """Say whether any excluded text is in this text, by letters: without case, accents, tones, digits and spaces.

    Raises:
      ValueError: an excluded text has no letters.

    >>> contains_excluded("Der Café-Besuch", ["cafe"])
    True
    """
    excludes = False
    for excluded in exclude:
        if not letters(excluded):
            raise ValueError(f"exclude has {excluded!r}, which has no letters to compare; write it out.")
        excludes |= letters(excluded) in letters(text)
    return excludes


@functools.lru_cache(maxsize=65536)
def letters(text: str) -> str:
    """Return the letters of a text, without case, accents, vowel marks, digits, punctuation and spaces.

    >>> letters("Café 21!")
    'cafe'
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if unicodedata.category(character).startswith("L"))
