"""`python -m shouwang` is `shouwang`."""

import gc
from importlib import import_module


def main() -> None:
    """The command line; what is imported for it is no garbage, and looking for some took a fifth of every start."""
    gc.disable()
    app = import_module("shouwang.cli").app
    gc.freeze()
    gc.enable()
    try:
        app()
    finally:
        gc.disable()
        gc.unfreeze()  # the interpreter clears all away once, as it ends


if __name__ == "__main__":
    main()
