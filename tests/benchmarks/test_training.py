"""The benchmark of training: what its rows say of the clocks."""

from benchmarks.training import inside


def test_shares_and_ratios_are_medians_over_turns_of_what_belongs_together():
    # (processor, wall) seconds an update, of the loop and of the update alone, in three turns.
    host = [((0.5, 0.5), (0.25, 0.5)), ((0.25, 0.5), (0.1875, 0.25)), ((0.5, 1.0), (0.5, 0.5))]
    there = [((0.25, 0.5), (0.25, 0.25)), ((0.25, 0.5), (0.25, 0.5)), ((0.25, 0.5), (0.125, 0.5))]
    first, second = inside.rows({"by the host": host, "on the device": there})
    assert (first["milliseconds an update"], first["lowest"], first["highest"]) == (500, 250, 500)
    assert (first["the update alone"], first["inside"], first["inside, wall"], first["speed"]) == (250, 0.75, 0.5, 1)
    assert (second["inside"], second["inside, wall"], second["speed"]) == (1, 1, 2)


def test_a_corpus_of_noise_has_clips_of_every_word_in_the_frames_that_it_holds():
    corpus = inside.noise(300, 4, seed=0)
    assert len(set(corpus.columns["label"])) == 100 and set(corpus.length) <= set(range(40, 81))
    assert corpus.start[-1] + corpus.length[-1] == len(corpus.frames)
