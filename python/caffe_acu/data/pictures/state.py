"""How far a split has come: kept in its LMDB and changed in the same transaction as the records."""

import io
import json
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

# Sorts before every key of a record, and is gone from a finished LMDB.
STATE_KEY = b"\0state"


@dataclass
class State:
    """After the files before ``done``, of which those in ``failed`` have no record."""

    size: int
    done: int = 0
    table_bytes: int = 0  # of the table of records that belong to what is in the LMDB
    failed: dict[int, str] = field(default_factory=dict)  # index -> reason
    kept: dict[int, str] = field(default_factory=dict)  # damaged, but used
    mended: bool = False  # a file that had failed has a record now, out of order in the table
    remarks: Counter[str] = field(default_factory=Counter)
    pixel_sum: np.ndarray = field(init=False)  # float64 (size, size, 3), exact
    square_sum: np.ndarray = field(init=False)  # float64 (3,)

    def __post_init__(self) -> None:
        self.pixel_sum = np.zeros((self.size, self.size, 3))
        self.square_sum = np.zeros(3)

    def dump(self) -> bytes:
        texts = {key: getattr(self, key) for key in ("size", "done", "table_bytes", "mended", "remarks")}
        for key in ("failed", "kept"):
            texts[key] = list(getattr(self, key).items())
        stream = io.BytesIO()
        np.savez(stream, pixel_sum=self.pixel_sum, square_sum=self.square_sum, texts=np.array(json.dumps(texts)))
        return stream.getvalue()

    @classmethod
    def load(cls, contents: bytes) -> "State":
        with np.load(io.BytesIO(contents), allow_pickle=False) as arrays:
            texts = json.loads(str(arrays["texts"]))
            state = cls(texts["size"], texts["done"], texts["table_bytes"])
            state.failed, state.kept = dict(map(tuple, texts["failed"])), dict(map(tuple, texts["kept"]))
            state.mended = texts["mended"]
            state.remarks = Counter(texts["remarks"])
            state.pixel_sum, state.square_sum = arrays["pixel_sum"], arrays["square_sum"]
        return state
