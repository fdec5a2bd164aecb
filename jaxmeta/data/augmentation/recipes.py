"""Augmentation of clips of log-mels, as words and as speakers are learnt best."""

import numpy as np
from jax import numpy as jnp

from jaxmeta.data.augmentation.rows import Transform
from jaxmeta.data.augmentation.spectral import equalise, mix_noise, reverberate_spectrum, time_warp
from jaxmeta.data.augmentation.transforms import chain, frequency_warp, sometimes, spec_augment


def word_augmentation(noise: np.ndarray) -> Transform:
    """What a clip goes through where words are learnt: other voices, paces, microphones, rooms and backgrounds.

    Args:
      noise: log-mels of background noise [M, L, F].
    """
    return chain(
        time_warp(ends=0.08, bend=0.1),
        frequency_warp(0.9, 1.12, shift=1.5),
        equalise(0.9),
        sometimes(reverberate_spectrum(share=0.5, decay=4.0), 0.35),
        sometimes(mix_noise(jnp.asarray(noise), low=0.0, high=30.0), 0.6),
        spec_augment(time_masks=1, time_width=16, frequency_masks=1, frequency_width=12, time_fraction=0.14),
    )


def speaker_augmentation(noise: np.ndarray | None) -> Transform:
    """What a clip goes through where speakers are learnt: other paces, microphones, rooms and backgrounds.

    Args:
      noise: log-mels of background noise [M, L, F]; None: no noise is added.
    """
    return chain(
        time_warp(ends=0.05, bend=0.05),
        equalise(0.3),
        sometimes(reverberate_spectrum(share=0.5, decay=4.0), 0.2),
        *(() if noise is None else (sometimes(mix_noise(jnp.asarray(noise), low=0.0, high=30.0), 0.5),)),
        spec_augment(time_masks=1, time_width=16, frequency_masks=1, frequency_width=8, time_fraction=0.14),
    )
