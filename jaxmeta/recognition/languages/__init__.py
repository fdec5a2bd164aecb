"""Recognition and translation of several languages: learnt one after another, or adapted to from few utterances."""
