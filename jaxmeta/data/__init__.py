"""Speech data: manifests, audio, cached features, corpora, episodes, augmentation and synthesis.

Import the modules themselves (``from jaxmeta.data.corpus import load_corpus``): this file imports nothing, so that
a command line that only prints its help loads no audio library.
"""
