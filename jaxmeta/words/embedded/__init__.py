"""Few-shot words on frozen embeddings: recordings are embedded once, and every learner runs on what is cached.

`embeddings` says what embeds, `corpora` embeds and caches, `networks` are the small networks that learn on top,
`recipes` builds every learner by name, and `comparison` gives each the same search, budget and test.
"""
