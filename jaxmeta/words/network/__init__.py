"""Few-shot words on the network itself: every learner starts from one trained classifier and moves all of its weights.

`pooling` brings recordings to a few frames, `recipes` builds every learner by name, `programs` trains and scores them
within a time, and `comparison` gives each the same search, budget and test.
"""
