"""Speech for the map: recordings and what can be done to them, or synthesised speech; and the frozen encoder."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from jaxmeta.data.augmentation.artificial_sounds import artificial_rooms
from jaxmeta.data.augmentation.banks import coloured_noise, room_bank
from jaxmeta.data.augmentation.conditions import artificial_conditions
from jaxmeta.data.augmentation.telephone import telephone
from jaxmeta.data.augmentation.waveform import find_noises, noisy, reverberant, split_noises
from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.data.ctc_feasible import drop_infeasible
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.synthesis.builtin_corpus import embedded_corpus
from jaxmeta.data.synthesis.joined_words import compound_words, join_words
from jaxmeta.data.synthesis.sentences import accented_sentences
from jaxmeta.data.vocabulary import Vocabulary, build_vocabulary
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.files.folders import cache_folder, data_folders
from jaxmeta.models.acoustic import body, output_lengths
from jaxmeta.models.heads import with_ctc_head
from jaxmeta.recognition.corpora import FEATURES
from jaxmeta.recognition.presets import PRESETS
from jaxmeta.recognition.pretrained.activations import cached_activations, with_activations
from jaxmeta.recognition.pretrained.encoder import read_encoder
from jaxmeta.recognition.shifts.shift import Encoder, Sentences, Words
from jaxmeta.recognition.training import train_on_all_speakers

VALIDATION = ("cancel", "direction", "forward", "receive", "rotate", "start")
"""Arabic words to choose rates on, besides those of the corpus's own part for that."""

SPELLINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "zh": {
        word: (word,)
        for word in ("数字", "背景", "北京", "饭店", "复旦", "上海", "商行", "识别", "语言", "语音", "中国", "总工")
    },
    "ar-test": {
        "ar_disable": ("تعطيل",), "ar_eight": ("ثمانيه", "ثماني", "تمانيه", "تماني", "8"),
        "ar_four": ("اربعه", "اربع", "4"), "ar_left": ("يسار",), "ar_move": ("تحريك",),
        "ar_next": ("التالي",), "ar_six": ("سته", "6"), "ar_stop": ("توقف", "قف"),
        "ar_two": ("اثنان", "اثنين", "2"), "ar_zoom_out": ("تصغير",),
    },
}  # fmt: skip
"""How the words of the tests are written, folded as `zero_shot.folded` does; the Arabic corpus has glosses alone."""
LETTERS = {
    "数": "数數", "饭": "饭飯", "复": "复復複", "识": "识識", "别": "别別", "语": "语語", "国": "国國", "总": "总總",
    "ا": "اأإآ", "ه": "هة", "ي": "يى",
}  # fmt: skip
"""Other forms of letters of these words: traditional characters, and forms of alif, ta marbuta and alif maqsura."""


def spellings(language: str) -> dict[str, str]:
    """Spelling, in every form of its letters -> slot of the word, as `recorded_words` has them."""
    words = SPELLINGS[language]
    return {
        "".join(letters): f"w{slot:02d}"
        for slot, word in enumerate(sorted(words))
        for text in words[word]
        for letters in product(*(LETTERS.get(letter, letter) for letter in text))
    }


def recorded_sentences(features: FeatureConfig) -> Sentences:
    """`en_nonnative_sentences` with rooms, noise and telephones; raises ValueError where JAXMETA_DATA lacks them."""
    folder, sounds, background, rooms = data_folders("en_nonnative_sentences", "noise_esc10", "noise_long", "rir_iosr")
    corpus = load_corpus(folder, features)
    kinds = split_noises(sounds)[0].kinds
    echoing = read_manifest(rooms).columns["room"] != "anechoic"
    seen = {"land line": telephone("ULAW"), "artificial room": reverberant(artificial_rooms(16))}
    seen |= {f"sounds {snr} dB": noisy(find_noises(sounds, kinds), snr, seed=1) for snr in (10, 5, 0)}
    unseen = {"telephone": telephone("GSM610"), "room": reverberant(room_bank(rooms, sample_rate=16_000)[echoing])}
    unseen |= {f"noise {snr} dB": noisy(find_noises(background, by="source"), snr) for snr in (5, 0)}
    tuned = ("land line", "artificial room")
    words = ("HOUSE", "WORLD", "TODAY", "EYES", "ROOM", "PEOPLE", "WALKED", "PLACE", "HAND", "LIFE")
    return Sentences(
        folder, corpus.select(corpus.length <= 800), words, ("BEST", "LONG", "WORK", "FIRST"), seen, tuned, unseen
    )


def synthesised_sentences(features: FeatureConfig) -> Sentences:
    """Short English sentences by artificial speakers; those of the test have other accents."""
    folder = accented_sentences(0)
    corpus = load_corpus(folder, features)
    voices = [folder / name for name in corpus.select(split="train").columns["file_name"][::10]]
    made = {each.name: each.transform for each in artificial_conditions(voices, (5, 0), 0) if each.transform}
    seen = {"land line": telephone("ULAW"), "steady 5 dB": noisy(coloured_noise(16, seed=1), 5)}
    unseen = {"telephone": telephone("GSM610"), "room": made["room"], "noise 5 dB": made["unseen 5 dB"]}
    return Sentences(folder, corpus, ("kitchen", "garden", "lamp", "brown"), ("chair", "grey"), seen, (*seen,), unseen)


def recorded_words(features: FeatureConfig, frames_out: Callable, size: int) -> Words:
    """English and some Arabic words to train on, and words of two of them; Mandarin and other Arabic words to teach.

    Rates are chosen on twelve Arabic words, as many as Mandarin has here.
    """
    trimmed = replace(features, trim_db=30.0)
    names = ("zh_en_words", "ar_commands", "en_digits_fsdd")
    bilingual, arabic, digits = (load_corpus(folder, trimmed) for folder in data_folders(*names))
    bilingual = bilingual.with_column("transcription", np.char.lower(bilingual.columns["transcription"]))
    arabic = arabic.with_column("transcription", np.char.add("ar_", arabic.columns["label"]))
    digits = _named(digits, "digits")
    part, label = arabic.columns["word_split"], arabic.columns["label"]
    number = {word: str(index % 3) for index, word in enumerate(np.unique(label[part == "train"]).tolist())}
    thirds = [number[word] if each == "train" else each for word, each in zip(label, part, strict=True)]

    def joined(languages: Sequence[str] | np.ndarray, seed: int) -> Corpus:
        return join_words(concatenate([bilingual, arabic.with_column("language", np.char.add("ar-", languages))]), seed)

    # The utterances to teach are those of the experiment on languages, which parts the other Arabic words in three.
    tests = joined(np.array(thirds), 0)
    tests = tests.select(np.isin(tests.columns["language"], ("zh", "ar-test")))
    rest = joined(np.where(np.isin(label, VALIDATION), "val", part), 1)
    val = rest.select(language="ar-val")
    made: list[Corpus] = []
    known = arabic.select((part == "train") & ~np.isin(label, VALIDATION))
    for words, count in ((bilingual.select(language="en"), 2), (known, 3), (digits, 1)):
        made += _compounds(words.select(split="train"), count, len(made))
    train = concatenate([rest, join_words(digits, 2), join_words(concatenate(made), 3, most=2)])
    languages = ("en", "ar-train", "digits", *(each.columns["language"][0] for each in made))
    return _words(train, concatenate([val, tests]), languages, "ar-val", "val", ("zh", "ar-test"), frames_out, size)


def _compounds(corpus: Corpus, count: int, first: int) -> list[Corpus]:
    """Languages of twelve words of two words each: words of Mandarin are longer than those that are trained on."""
    words, languages = np.unique(corpus.columns["transcription"]).tolist(), []
    pairs = [(one, other) for one in words for other in words if one != other]
    for number in range(first, first + count):
        rows = np.random.default_rng(number).permutation(len(pairs))[:12]
        chosen = [pairs[row] for row in rows.tolist()]
        languages.append(compound_words(corpus, chosen, f"compounds {number}", number))
    return languages


def _named(corpus: Corpus, language: str) -> Corpus:
    """A corpus of single words as a language of its own."""
    words = np.char.add(f"{language}_", corpus.columns["label"])
    return corpus.with_column("transcription", words).with_column("language", np.full(len(corpus), language))


def synthesised_words(features: FeatureConfig, frames_out: Callable, size: int) -> Words:
    """The built-in corpus: words of some languages to train on, and other words of two further languages to teach."""
    folder = embedded_corpus(cache_folder("synthesised") / "words", pseudo=0)
    corpus = load_corpus(folder, replace(features, trim_db=30.0))
    language, part = corpus.columns["language"], corpus.columns["word_split"]
    taught = np.isin(language, ("tr", "cmn", "id"))
    corpus = corpus.select(np.where(taught, part == "test", part == "train"))
    # Half of the voices of the words that are taught speak the support sets, the others the queries.
    voices = {name: number for number, name in enumerate(np.unique(corpus.columns["speaker"]).tolist())}
    half = ["test" if voices[name] % 2 else "train" for name in corpus.columns["speaker"].tolist()]
    corpus = corpus.with_column("split", np.where(corpus.columns["word_split"] == "test", half, "train"))
    corpus = corpus.with_column("transcription", corpus.columns["label"])
    training = ("en-us", "es")  # Thirty words, so that vocabularies of ten have utterances enough.
    joined = join_words(corpus, 0)
    return _words(joined, joined, training, "id", "test", ("tr", "cmn"), frames_out, size)


def _words(
    train: Corpus, others: Corpus, training: Sequence[str], validation: str, val_split: str, tests: tuple[str, ...],
    frames_out: Callable, size: int,
) -> Words:  # fmt: skip
    columns = train.columns
    train = train.select(np.isin(columns["language"], training) & (columns["split"] == "train") & (train.length <= 280))
    chosen = np.zeros(len(train), bool)
    for name in training:
        rows = np.random.default_rng(0).permutation(np.flatnonzero(train.columns["language"] == name))
        chosen[rows[: size // len(training)]] = True
    others = others.select(np.isin(others.columns["language"], (validation, *tests)))
    text, ways = others.columns["transcription"].tolist(), 0
    for name in (validation, *tests):
        rows = np.flatnonzero(others.columns["language"] == name)
        slots = {word: f"w{slot:02d}" for slot, word in enumerate(sorted({w for r in rows for w in text[r].split()}))}
        ways = max(ways, len(slots))
        for row in rows:
            text[row] = " ".join(slots[word] for word in text[row].split())
    vocabulary = Vocabulary(tuple(f"w{slot:02d}" for slot in range(ways)), "word")
    others = drop_infeasible(others.with_column("transcription", text), vocabulary, frames_out)
    return Words(train.select(chosen), others, vocabulary, validation, val_split, tests)


def frozen_encoder(base: Path | None, folder: Path, seed: int, unused: int = 0) -> Encoder:
    """The encoder of a public network, or one of our own, trained on the synthesised sentences as a recogniser.

    Args:
      base: folder of the public network; None: our own.
      folder: of the training of our own.
      seed: of that.
      unused: uppermost layers of the public one that are left out.
    """
    if base is not None:
        public = read_encoder(base)
        lower, _ = public.split(unused)

        def encode(corpus: Corpus) -> Corpus:
            key = {"base": public.sha256, "layers": unused, "recordings": corpus.fingerprint}
            return cached_activations(corpus, lower, public.params, key, batch=16)

        return Encoder(
            public.features,
            encode,
            lambda n: -(-n // (2 * public.subsampling)),
            True,
            f"{public.sha256} {unused}" if unused else public.sha256,
        )
    speech = synthesised_sentences(FEATURES)
    vocabulary = build_vocabulary(speech.corpus.columns["transcription"])
    train, val = speech.allowed(), speech.corpus.select(split="val")
    training = PRESETS["quick"]._replace(frames_per_batch=8_000, max_frames=400)
    lower = body(training.encoder, training.size)
    params = train_on_all_speakers(
        with_ctc_head(lower, vocabulary.size), drop_infeasible(train, vocabulary, output_lengths), val, vocabulary,
        training, folder / "own_base", seed=seed, config={}, evaluations=1, buckets=2,
    )["encoder"]  # fmt: skip
    return Encoder(
        FEATURES, lambda corpus: with_activations(corpus, lower, params), output_lengths, False, params_digest(params)
    )
