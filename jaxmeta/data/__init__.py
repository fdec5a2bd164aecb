"""Speech data: manifests, audio, cached features, corpora, episodes, augmentation and synthesis.

Import the modules themselves (``from jaxmeta.data.corpus import load_corpus``): this file loads no library, so that
a command line that only prints its help loads none for audio.
"""

from jaxmeta.data.numba_cache import choose_numba_cache

choose_numba_cache()
