"""Which versions of jaxmeta and of what it stands on are installed, without importing any of them."""

from importlib.metadata import PackageNotFoundError, version

import jaxmeta

PACKAGES = (
    *("jax", "jaxlib", "flax", "optax", "chex", "orbax-checkpoint", "numpy", "numba", "librosa", "soundfile", "soxr"),
    *("scikit-learn", "jiwer", "flashlight-text", "tyro", "rich"),
)


def versions() -> dict[str, str]:
    """Package -> its version, jaxmeta first; one that is not installed is left out."""
    installed = {"jaxmeta": jaxmeta.__version__}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue  # an optional one
    return installed
