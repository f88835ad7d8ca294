"""Pickles that were made to harm whoever reads them, in place of a batch of CIFAR-10."""

import builtins
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from caffe_acu.data.batch_pickle import unpickle  # noqa: E402
from fuzz_guard import Escaped, guarded  # noqa: E402

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
_MEMORY = 1 << 30  # bytes beside those that a process has


class Calls:
    """Pickled as a call."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def exploits(mark: Path) -> dict[str, object]:
    touch, code = f"touch {mark}", f"open({str(mark)!r}, 'w')"
    return {
        "os.system": Calls(os.system, touch),
        "subprocess": Calls(subprocess.check_call, ["touch", str(mark)]),
        "eval": Calls(eval, code),
        "exec": Calls(exec, code),
        "open": Calls(open, str(mark), "w"),
        "import": Calls(builtins.__import__, "this"),
        "getattr": Calls(getattr, Calls(builtins.__import__, "os"), "system"),
        "nested": Calls(list, (Calls(os.system, touch),)),
        "in an array": {b"data": Calls(np.frombuffer, Calls(os.system, touch))},
        "as a key": {Calls(os.system, touch): 1},
        "loads": Calls(pickle.loads, pickle.dumps(Calls(os.system, touch))),
        "numpy.load": Calls(np.load, str(mark)),
        "a class": {b"data": Path(mark)},
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", exploits(Path()))
def test_nothing_is_called(tmp_path, name, protocol):
    mark = tmp_path / "mark"
    contents = pickle.dumps(exploits(mark)[name], protocol)
    with guarded(tmp_path / "nowhere"), pytest.raises(pickle.UnpicklingError):
        unpickle(contents)
    assert not mark.exists()


def test_the_guard_notices_a_call(tmp_path):
    """The standard unpickler, which calls what it is told to."""
    with pytest.raises(Escaped), guarded(tmp_path / "nowhere"):
        pickle.loads(pickle.dumps(Calls(os.system, f"touch {tmp_path}/mark")))
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "contents",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # by hand, as of protocol 0
        b"(S'true'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'true'\no.",  # OBJ
        b"\x80\x02cnumpy\nndarray\n)\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pid\n.",  # PERSID
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\nS'true'\nttR.",
        b"\x80\x02cnumpy\ndtype\n(S'O8'\ntR.",
        b"\x80\x02}}b.",  # BUILD of a dictionary
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",  # STACK_GLOBAL
        b"\x80\x04\x8c\x05numpy\x8c\x0bndarray.data\x93.",  # a name with a dot
        b"\x80\x02cnumpy\nndarray\n)R.",
    ],
)
def test_by_any_instruction(tmp_path, contents):
    with guarded(tmp_path), pytest.raises(pickle.UnpicklingError):
        unpickle(contents)


def hashed_for_ever() -> bytes:
    """A key whose hash is that of 2^60 tuples."""
    return b"\x80\x02})" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(60)) + b"Ns."


BOMBS = {
    "a memo of 64 GB": b"\x80\x02}r\xff\xff\xff\xff.",
    "a memo of 8 GB": b"\x80\x02}r\xff\xff\xff\x1f.",
    "bytes of 2^62": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
    "a bytearray of 4 GB": b"\x80\x05\x96" + struct.pack("<Q", 1 << 32) + b"x.",
    "a text of 2 GB": b"\x80\x02T\xff\xff\xff\x7fx.",
    "a frame of 2^62": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"}.",
    "a number of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7fx.",
    "a number of a million digits": b"L" + b"9" * 1_000_000 + b"L\n.",
    "tuples in tuples": b"\x80\x02)" + b"\x85" * 1_000_000 + b".",
    "lists in lists": b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "marks": b"\x80\x02" + b"(" * 1_000_000 + b".",
    "a key that is hashed for ever": hashed_for_ever(),
    "an array of 2^60 bytes": b"\x80\x02cnumpy.core.numeric\n_frombuffer\n(C\x01x"
    b"cnumpy\ndtype\n(U\x02u1tR\x8a\x08\0\0\0\0\0\0\0\x10\x85U\x01CtR.",
    "a dtype printed for ever": b"\x80\x02cnumpy\ndtype\n" + hashed_for_ever()[3:-3] + b"\x85R.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_time_and_memory_are_those_of_the_file(name):
    """In a process of its own, which is ended if it takes too much."""
    code = (
        "import pickle, resource, sys\n"
        "from caffe_acu.data.batch_pickle import unpickle\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, 2 * (used + {_MEMORY},))\n"
        "try:\n    unpickle(sys.stdin.buffer.read())\n    print('read')\n"
        "except pickle.UnpicklingError as error:\n    print('refused:', str(error)[:200])\n"
        # Not ru_maxrss, which a process inherits from the one that started it.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=BOMBS[name], capture_output=True, timeout=60, check=True)
    outcome, most = done.stdout.decode().splitlines()
    assert "MemoryError" not in outcome
    # Of these, nothing depends on the size that they tell.
    assert outcome.startswith("read" if "memo" in name or "frame" in name else "refused:")
    assert int(most) * 1024 < _MEMORY
