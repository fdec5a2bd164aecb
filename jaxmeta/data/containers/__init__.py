"""What audio files say about their own length and integrity: libsndfile believes headers, and skips what is damaged."""

from jaxmeta.data.containers.formats import OFFERED, parts
from jaxmeta.data.containers.parts import ContainerError, Part
from jaxmeta.data.containers.samples import samples

__all__ = ["OFFERED", "ContainerError", "Part", "parts", "samples"]
