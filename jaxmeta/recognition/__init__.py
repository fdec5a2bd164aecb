"""A trained recogniser as a folder, what it transcribes, and how it is adapted to one voice.

Above training: it joins models, data and decoding, for the command line and the experiments.
"""
