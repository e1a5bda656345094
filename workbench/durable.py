"""Files that are whole or not there: a reader never meets half of one, whenever the writer was killed."""

import os
import tempfile
from pathlib import Path


def write(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` by way of a temporary file beside it, synced before it takes the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
