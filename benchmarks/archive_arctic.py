"""ArcticDB on LMDB, in the peers' environment: writes and reads the columns of a file, tells the seconds as JSON.

Reading means: one array a column. What was written is read in a library opened anew.

python archive_arctic.py COLUMNS.npz FOLDER
"""

import json
import statistics
import sys
import time

import arcticdb
import numpy as np
import pandas as pd


def main(file: str, folder: str, tries: str) -> None:
    """Write once, read some times; the median, and the first."""
    found = np.load(file)
    columns = {name: found[name] for name in found.files}
    index = pd.DatetimeIndex(columns.pop("time").view("datetime64[ns]"))
    frame = pd.DataFrame(columns, index=index)
    library = arcticdb.Arctic(f"lmdb://{folder}").get_library("ticks", create_if_missing=True)
    library.write("warm", frame.iloc[:1000])
    began = time.perf_counter()
    library.write("ticks", frame)
    written = time.perf_counter() - began
    del library
    library = arcticdb.Arctic(f"lmdb://{folder}").get_library("ticks")
    assert len(library.read("warm").data) == 1000
    spent = []
    for _ in range(int(tries)):
        began = time.perf_counter()
        back = library.read("ticks").data
        arrays = {name: back[name].to_numpy() for name in back.columns}
        spent.append(time.perf_counter() - began)
        assert len(back) == len(frame)
        assert len(arrays) == len(columns)
    print(json.dumps({"write": written, "read": statistics.median(spent), "first_read": spent[0]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
