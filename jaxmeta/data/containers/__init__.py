"""What audio files say about their own length and integrity: libsndfile believes headers, and skips what is damaged."""

from jaxmeta.data.containers.formats import OFFERED, form, parts
from jaxmeta.data.containers.parts import ContainerError, Part
from jaxmeta.data.containers.samples import Span, samples, seekable, span_samples

__all__ = ["OFFERED", "ContainerError", "Part", "Span", "form", "parts", "samples", "seekable", "span_samples"]
