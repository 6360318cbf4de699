"""File systems of a test's own: one whose power can be cut, and one that is soon full. Both need root;
their mounts are seen by this process and its children alone."""
import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN: _IOR('X', 125, u32)
NO_LOG_FLUSH = 2
CLONE_NEWNS = 0x20000
IMAGE_BYTES = 1 << 30


class Disk:
    """An ext4 file system in a file. Its mount lives in a mount namespace of this process and its loop
    device goes with the mount, so that nothing stays behind however this ends."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kyrodb-test-")
        self.image = os.path.join(self.folder, "image")
        self.path = os.path.join(self.folder, "mount")
        os.mkdir(self.path)
        with open(self.image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        run("mkfs.ext4", "-q", "-F", self.image)
        self.mount()
        # Whether this is permitted shows only when it is done.
        try:
            self.cut()
            self.unmount()
            self.mount()
        except OSError:
            self.discard()
            raise

    def mount(self):
        run("mount", "-t", "ext4", "-o", "loop", self.image, self.path)

    def cut(self):
        """Nothing that comes later reaches the disk, nor what waits in the journal. Returns when."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("<I", NO_LOG_FLUSH))
            return time.monotonic()
        finally:
            os.close(folder)

    def unmount(self):
        for _ in range(100):
            if subprocess.run(["umount", self.path], stderr=subprocess.DEVNULL,
                              check=False).returncode == 0:
                return
            time.sleep(0.02)  # the kernel still lets go of a killed server's files
        run("umount", self.path)

    def discard(self):
        subprocess.run(["umount", "-l", self.path], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Memory:
    """A tmpfs of fixed size."""

    def __init__(self, byte_count):
        self.path = tempfile.mkdtemp(prefix="kyrodb-test-")
        self.filler = os.path.join(self.path, "filler")
        run("mount", "-t", "tmpfs", "-o", f"size={byte_count}", "tmpfs", self.path)

    def fill(self):
        """Takes all the room there is."""
        with open(self.filler, "ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def free(self):
        os.remove(self.filler)

    def discard(self):
        subprocess.run(["umount", "-l", self.path], stderr=subprocess.DEVNULL, check=False)
        os.rmdir(self.path)


def run(*command):
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                           text=True)
    if ended.returncode != 0:
        raise OSError(f"{' '.join(command)}: {ended.stdout.strip()}")


def enter_namespace():
    """Mounts of this process are seen by itself and its children alone. Before any thread starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


def mounted(make):
    """What `make()` mounts, or None and why there is none."""
    if os.geteuid() != 0:
        return None, "it needs root"
    try:
        enter_namespace()
        return make(), ""
    except OSError as error:
        return None, f"not permitted here: {error}"
