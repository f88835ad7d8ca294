"""Makes C++ of a CUDA source: every launch becomes a call of emulation::Launch. Usage: rewrite_launches.py IN OUT."""

import re
import sys
from pathlib import Path

_SPACE = r"(?:\s|\\\n|//[^\n]*\n)*"
_LAUNCH = re.compile(rf"([\w#]+(?:<[\w, ]+>)?){_SPACE}<<<(.*?)>>>\s*\(", re.DOTALL)


def rewrite(source: str, name: str) -> str:
    """The source with its launches rewritten, line for line; messages will refer to file `name`."""
    calls = _LAUNCH.sub(r'::emulation::Launch("\1", {\2}, [&](auto... a) { \1(a...); }, ', source)
    return f'#line 1 "{name}"\n{calls}'


if __name__ == "__main__":
    path = Path(sys.argv[1])
    Path(sys.argv[2]).write_text(rewrite(path.read_text(), str(path)))
