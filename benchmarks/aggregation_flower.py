"""One measurement of Flower's own aggregation, in a process of its own and an environment that has Flower.

`aggregation_flower.py OUT ELEMENTS FILE...` reads the last float32 numbers of each file as one client's array, in the
form in which Flower's messages carry it, lets Flower aggregate, and has the model's bytes in memory at the end. They go
to OUT after the clock has stopped.
"""

from __future__ import annotations

import json
import mmap
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords
from peak_memory import Peak

SAMPLES = 100
"""Of the first client; each next one has one more."""


def reply(path: Path, elements: int, samples: int) -> RecordDict:
    """A client's reply; its bytes are copied once, out of the page cache."""
    head = BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (elements,)})
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        numbers = memoryview(mapped)[len(mapped) - 4 * elements :]
        data = b"".join((head.getvalue(), numbers))
        numbers.release()
    array = Array("float32", (elements,), "numpy.ndarray", data)
    return RecordDict({"arrays": ArrayRecord({"weight": array}), "metrics": MetricRecord({"samples": samples})})


def main() -> None:
    out, elements = Path(sys.argv[1]), int(sys.argv[2])
    peak, start = Peak(), time.perf_counter()
    replies = [reply(Path(path), elements, SAMPLES + index) for index, path in enumerate(sys.argv[3:])]
    read = time.perf_counter()
    model = aggregate_arrayrecords(replies, "samples")["weight"].data
    end = time.perf_counter()
    extra = peak.extra_mib()
    out.write_bytes(model)
    print(json.dumps({"seconds": end - start, "in_memory_s": end - read, "extra_mib": extra}))


if __name__ == "__main__":
    main()
