"""jaxmeta: functional meta-gradients in JAX for speech that has little data.

The public names stand in `__init__.pyi`. They are loaded when they are first used, so that what needs no JAX, such as
`jaxmeta --help`, does not wait for it.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
