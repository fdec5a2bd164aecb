"""Kneser-Ney by hand, sums to one, and KenLM's reading of the file."""

import math
import random

import pytest

from jaxmeta.decoding.ngram import arpa_words, log_probability, probability, train_ngram, write_arpa


def vocabulary(ngram):
    return [gram[0] for gram in ngram.probabilities if len(gram) == 1]


def text(seed=0, sentences=80, words="abcde "):
    rng = random.Random(seed)
    return ["".join(rng.choices(words, [9, 5, 4, 2, 1, 3], k=rng.randint(0, 9))) for _ in range(sentences)]


def test_a_bigram_model_by_hand():
    # Pairs: <s> a 2, a b 1, a </s> 1, b </s> 1. Continuations: a after 1 word, b after 1, </s> after 2; in all 4.
    # Neither order has counts of 1, 2 and 3, so the discounts are 0.5 for 1 and 1 for 2.
    ngram = train_ngram([["a", "b"], ["a"]], 2)
    uniform = (0.5 + 0.5 + 1.0) / 4 / 4  # of the freed mass over a, b, </s> and <unk>
    a, b, end = 0.5 / 4 + uniform, 0.5 / 4 + uniform, 1.0 / 4 + uniform
    assert ngram.probabilities[("<unk>",)] == pytest.approx(uniform)
    assert ngram.probabilities[("a",)] == pytest.approx(a) and ngram.probabilities[("</s>",)] == pytest.approx(end)
    assert probability(ngram, ["<s>"], "a") == pytest.approx(1 / 2 + 1 / 2 * a)
    assert probability(ngram, ["<s>"], "b") == pytest.approx(1 / 2 * b)
    assert probability(ngram, ["a"], "b") == pytest.approx(0.5 / 2 + (0.5 + 0.5) / 2 * b)
    assert probability(ngram, ["b"], "</s>") == pytest.approx(0.5 / 1 + 0.5 / 1 * end)
    assert probability(ngram, ["b"], "z") == pytest.approx(0.5 * uniform)
    assert probability(ngram, ["z"], "a") == pytest.approx(a)
    expected = (1 / 2 + 1 / 2 * a) * (0.5 / 2 + 1 / 2 * end)
    assert log_probability(ngram, ["a"]) == pytest.approx(math.log(expected))


def test_discounts_are_chen_and_goodmans_where_counts_allow():
    # Every word occurs in one pair that starts a sentence, 8 once, 4 twice, 2 thrice and 1 four times.
    times = [1] * 8 + [2] * 4 + [3] * 2 + [4]
    ngram = train_ngram([[f"w{i}"] for i, count in enumerate(times) for _ in range(count)], 2)
    # "<s> w" and "w </s>" both: counts of counts 16, 8, 4, 2 all halve, so that Y = 1 / 2.
    y = 16 / (16 + 2 * 8)
    discounts = [1 - 2 * y * 8 / 16, 2 - 3 * y * 4 / 8, 3 - 4 * y * 2 / 4]
    assert discounts == [0.5, 1.25, 2.0]
    total = sum(times)
    freed = (8 * 0.5 + 4 * 1.25 + 3 * 2.0) / total
    for word, count in (("w0", 1), ("w8", 2), ("w12", 3), ("w14", 4)):
        own = (count - discounts[min(count, 3) - 1]) / total
        assert probability(ngram, ["<s>"], word) == pytest.approx(own + freed * probability(ngram, [], word))


@pytest.mark.parametrize("order", [2, 3, 5])
def test_every_context_sums_to_one(order):
    ngram = train_ngram(text(), order)
    words = vocabulary(ngram)
    assert set(words) == {*"abcde ", "</s>", "<unk>"}
    unseen = [("z",), ("a", "z"), ("</s>", "a"), ("e", "e", "e", "e")]
    for context in [(), *ngram.backoffs, *unseen]:
        assert sum(probability(ngram, context, word) for word in words) == pytest.approx(1, abs=1e-12)


def test_a_lower_order_counts_contexts_and_not_occurrences():
    # "y" is frequent, but only after "x"; "z" is rare, but after anything.
    ngram = train_ngram([["x", "y"]] * 20 + [["a", "z"], ["b", "z"], ["c", "z"]], 2)
    # Continuations: x, y, a, b, c 1 each, </s> 2, z 3, of which the discounts 0.5, 1 and 1.5 free 5 of 10.
    uniform = 5 / 10 / 8
    assert probability(ngram, ["unheard"], "y") == pytest.approx(0.5 / 10 + uniform)
    assert probability(ngram, ["unheard"], "z") == pytest.approx(1.5 / 10 + uniform)


def test_the_model_prefers_text_like_its_own():
    ngram = train_ngram(text(0), 3)
    held_out = text(1)
    mean = sum(log_probability(ngram, sentence) for sentence in held_out) / sum(len(s) + 1 for s in held_out)
    assert mean > math.log(1 / 8)  # better than all eight alike


@pytest.mark.parametrize("order", [2, 4])
def test_kenlm_reads_the_same_scores(order, tmp_path):
    pytest.importorskip(
        "flashlight.lib.text", reason="the extra 'decode' is not installed, or there is none for this Python"
    )
    pytest.importorskip("flashlight.lib.text.decoder")
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    ngram = train_ngram(text(), order)
    write_arpa(ngram, tmp_path / "lm.arpa")
    words = vocabulary(ngram)
    kenlm = KenLM(str(tmp_path / "lm.arpa"), Dictionary(["<space>" if word == " " else word for word in words]))
    for sentence in [*text(0)[:20], *text(2), "zebra"]:
        state, total = kenlm.start(False), 0.0
        for word in sentence:
            state, score = kenlm.score(state, words.index(word if word in words else "<unk>"))
            total += score
        total += kenlm.finish(state)[1]
        # KenLM adds float32 logarithms to base 10
        assert log_probability(ngram, sentence) == pytest.approx(total * math.log(10), rel=2e-6, abs=2e-6)


def test_the_file_lists_every_gram_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "lm.arpa"
    path.write_text("old")
    ngram = train_ngram(["a b", "b"], 3)
    write_arpa(ngram, path)
    lines = path.read_text().splitlines()
    assert lines[:4] == ["\\data\\", "ngram 1=6", "ngram 2=5", "ngram 3=4"] and lines[-1] == "\\end\\"
    assert sum("\t" in line for line in lines) == 6 + 5 + 4
    assert arpa_words(path) == {"a", "b", " ", "<s>", "</s>", "<unk>"}
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_cannot_be_modelled_is_an_error():
    for sentences, order, message in (
        ([["a"]], 1, "order=1"),
        ([], 2, "no sentence has 0 words"),
        ([["a"]], 4, "no sentence has 2 words"),
        ([["a"], ["<s>"]], 2, "row 1 holds '<s>'"),
        ([["a b"]], 2, "row 0 holds the word 'a b'"),
        ([[""]], 2, "row 0 holds the word ''"),
    ):
        with pytest.raises(ValueError, match=message):
            train_ngram(sentences, order)


def test_a_file_of_another_kind_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        arpa_words(tmp_path / "none.arpa")
    (tmp_path / "binary").write_bytes(b"mmap lm \xff\xfe")
    with pytest.raises(ValueError, match="cannot be read"):
        arpa_words(tmp_path / "binary")
    (tmp_path / "notes.txt").write_text("hello\n")
    with pytest.raises(ValueError, match="no unigrams"):
        arpa_words(tmp_path / "notes.txt")
