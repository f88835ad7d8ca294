"""How a measurement ends: its exit code, and one line where it failed."""

import sys
from collections.abc import Callable

from caffe_acu.errors import UserError


def exit_code(measure: Callable[[], None], *failures: type[Exception]) -> int:
    """Calls ``measure``; 0, 2 for UserError or one of ``failures``, 130 when interrupted."""
    try:
        measure()
    except (UserError, *failures) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmark: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0
