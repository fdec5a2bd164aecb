"""Few-shot recognition of spoken words: learners by name, presets of their training, and training itself.

Above evaluation: it joins models, learners and data, for the command line and the experiments.
"""
