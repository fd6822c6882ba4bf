"""Large packages, loaded without looking for garbage meanwhile."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading(module: str) -> Iterator[None]:
    """Around the first import of ``module``. What that makes is there to stay: the collector would go through all of it
    again and again while it comes, and once more when the program ends, which takes as long as the import itself."""
    if module in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
