"""Steers fault_shim.c: which calls of a server fail, and what its wall clock says."""
import errno
import mmap
import os
import struct
import subprocess

from harness import ROOT

KINDS = ("fdatasync", "fsync", "pwrite", "rename", "open", "unlink", "fallocate", "pread")
COLUMNS = ("calls", "first", "count", "error", "failed")
SOURCE = ROOT / "Tests/EndToEnd/fault_shim.c"
LIBRARY = ROOT / ".build/fault_shim.so"


def build():
    """Compiles the library when it is missing or old."""
    if LIBRARY.exists() and LIBRARY.stat().st_mtime_ns > SOURCE.stat().st_mtime_ns:
        return
    LIBRARY.parent.mkdir(exist_ok=True)
    unfinished = LIBRARY.with_suffix(f".{os.getpid()}")
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o",
                    str(unfinished), str(SOURCE), "-ldl"], check=True)
    unfinished.rename(LIBRARY)


class Shim:
    """Put `environment` on a server before it starts; faults and clock may change at any time."""

    def __init__(self, server):
        build()
        path = os.path.join(server.folder, "faults")
        with open(path, "wb") as file:
            file.truncate(4096)
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 4096)
        server.environment.update(LD_PRELOAD=str(LIBRARY), KYRODB_FAULT_FILE=path,
                                  KYRODB_FAULT_FOLDER=server.data)

    def _offset(self, column, kind):
        return 8 * (COLUMNS.index(column) * len(KINDS) + KINDS.index(kind))

    def get(self, column, kind):
        return struct.unpack_from("<Q", self.memory, self._offset(column, kind))[0]

    def _set(self, column, kind, value):
        struct.pack_into("<Q", self.memory, self._offset(column, kind), value)

    def arm(self, kind, nth, error=errno.EIO, times=1):
        """The nth call from the last `reset` on fails, and `times` - 1 after it."""
        self._set("error", kind, error)
        self._set("count", kind, times)
        self._set("first", kind, nth)

    def reset(self):
        """No faults, and counts from zero. The clock stays."""
        shift = self.clock_shift
        self.memory[:] = bytes(4096)
        self.clock_shift = shift

    @property
    def clock_shift(self):
        return struct.unpack_from("<q", self.memory, 8 * len(COLUMNS) * len(KINDS))[0]

    @clock_shift.setter
    def clock_shift(self, seconds):
        struct.pack_into("<q", self.memory, 8 * len(COLUMNS) * len(KINDS), seconds)
