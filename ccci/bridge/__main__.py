"""`python -m ccci.bridge`: the process of the bridge, in which nothing is patched by gevent.

`ccci bridge serve` becomes this process: ccci's command line is patched for pyinfra, which the bridge does not use.
"""

from __future__ import annotations

import sys

from ccci import settings as settings_module
from ccci.bridge.serve import log_to_stderr, serve
from ccci.errors import CcciError


def main() -> None:
    """Serve; an error is one clear message and its exit code."""
    log_to_stderr()
    try:
        serve(settings_module.load())
    except CcciError as error:
        sys.stderr.write(f"ccci: {error.what}\n")
        if error.hint:
            sys.stderr.write(f"  what to do: {error.hint}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
