"""Augmentation in the spoken-words experiment."""

from collections.abc import Callable

import numpy as np

from jaxmeta.data.augmentation.spectral import equalise, mix_noise, reverberate_spectrum, time_warp
from jaxmeta.data.augmentation.transforms import chain, frequency_warp, sometimes, spec_augment


def augmentation(noise: np.ndarray) -> Callable:
    """What a clip of log-mels goes through in training: other voices, paces, microphones, rooms and backgrounds.

    Args:
      noise: log-mels of background noise [M, L, F].
    """
    return chain(
        time_warp(ends=0.08, bend=0.1),
        frequency_warp(0.9, 1.12, shift=1.5),
        equalise(0.9),
        sometimes(reverberate_spectrum(share=0.5, decay=4.0), 0.35),
        sometimes(mix_noise(noise, low=0.0, high=30.0), 0.6),
        spec_augment(time_masks=1, time_width=16, frequency_masks=1, frequency_width=12, time_fraction=0.14),
    )
