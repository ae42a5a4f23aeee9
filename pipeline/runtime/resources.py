"""Disk and memory exhaustion: one place that knows how each library fails, and how much is left."""

from __future__ import annotations

import errno
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import NoSpace, OutOfMemory, UnderstudyError

_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk's quota is used up",
    errno.EFBIG: "the disk takes no file so large",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "the folder cannot be written to",
    errno.EIO: "the disk fails",
    errno.ESTALE: "the disk is gone",
    errno.ENODEV: "the disk is gone",
}
FULL_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
"""Error numbers that mean the disk, where an error could come from the network as well."""
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
"""numpy's message, without an errno, when only part of an array was written."""
_OPENCV_NO_MEMORY = -4
_NO_LIMIT_BYTES = 1 << 60
"""The value that cgroup v1 reports for "no limit" is larger than this."""
_ADDRESSES_PER_BYTE = 2.3
"""Address space per byte of resident memory: thread stacks, arenas, mapped files. Jobs with a peak of 0.56 GB succeeded
from a limit of 1.6 GB on, and crashed or could not start below 1.4 GB."""
CGROUP = Path("/sys/fs/cgroup")


@contextmanager
def resource_errors(*folders: Path, needed_bytes: int = 0) -> Iterator[None]:
    """Raise ``NoSpace`` or ``OutOfMemory`` for whatever a full disk or memory makes a library raise.

    ``folders`` are those written to, the most important first; ``needed_bytes`` is their estimated total need. Errors
    of this package pass through.
    """
    try:
        yield
    except UnderstudyError:
        raise
    except Exception as error:
        told = resource_error(error, *folders, needed_bytes=needed_bytes)
        if told is None:
            raise
        raise told from error


def resource_error(error: BaseException, *folders: Path, needed_bytes: int = 0) -> NoSpace | OutOfMemory | None:
    """Return the disk or memory error that an exception stands for, or None; its causes are examined as well."""
    for each in _causes(error):
        if _is_of_memory(each):
            return OutOfMemory("the machine has too little memory for this job")
        if isinstance(each, OSError):
            told = _DISK_ERRORS.get(each.errno or 0)
            if told is None and _SHORT_WRITE.search(str(each)):
                told = _DISK_ERRORS[errno.ENOSPC]
            if told is None and isinstance(each, FileNotFoundError) and not all(path.exists() for path in folders):
                told = "the disk is gone"
            if told is not None:
                return NoSpace(told + _shortage(folders, needed_bytes))
    return None


def check_disk(needed_bytes: int, *folders: Path) -> None:
    """Raise ``NoSpace`` where one of the folders' disks has less room than is needed."""
    for folder in folders:
        free = _free_bytes(folder)
        if free is not None and free < needed_bytes:
            raise NoSpace(
                f"the job needs about {_megabytes(needed_bytes)} of disk and {_megabytes(free)} are free: "
                f"{_megabytes(needed_bytes - free)} are missing"
            )


def check_memory(needed_bytes: int, cgroup: Path = CGROUP) -> None:
    """Raise ``OutOfMemory`` where less memory is available than needed."""
    free = available_memory(cgroup)
    if free is not None and free < needed_bytes:
        raise OutOfMemory(
            f"the job needs about {_megabytes(needed_bytes)} of memory and {_megabytes(free)} are free: "
            f"{_megabytes(needed_bytes - free)} are missing"
        )


def available_memory(cgroup: Path = CGROUP) -> int | None:
    """Return how many bytes this process may still allocate: the minimum of what machine, container and limits
    leave. ``cgroup`` is the folder in which the kernel states the container's limits."""
    left = [each for each in (_machine(), _container(cgroup), _address_space()) if each is not None]
    return max(min(left), 0) if left else None


def memory_size(cgroup: Path = CGROUP) -> int | None:
    """Return the total memory of the machine or the container; None where unknown."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    of_addresses = None if limit == resource.RLIM_INFINITY else round(limit / _ADDRESSES_PER_BYTE)
    sizes = [_field("/proc/meminfo", "MemTotal:"), _container_limit(cgroup), of_addresses]
    known = [each for each in sizes if each is not None]
    return min(known) if known else None


def size_on_disk(folder: Path) -> int:
    """Return the disk usage of a folder, recursively, in bytes; 0 where it does not exist."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_blocks * 512
    return total


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if type(error).__module__ == "cv2":
        return getattr(error, "code", None) == _OPENCV_NO_MEMORY
    # Thread stacks need memory too.
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def _shortage(folders: tuple[Path, ...], needed_bytes: int) -> str:
    """Return the end of the sentence: how much is needed and how much is left."""
    for folder in folders:
        free = _free_bytes(folder)
        if free is None:
            continue
        missing = needed_bytes - size_on_disk(folder) - free
        if missing > 0:
            return f": about {_megabytes(missing)} are missing"
        return f": {_megabytes(free)} are left"
    return ""


def _free_bytes(folder: Path) -> int | None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with suppress(OSError):
        return shutil.disk_usage(folder).free
    return None


def _megabytes(size: int) -> str:
    return f"{max(size / 1e6, 0.1):.1f} MB" if size < 10**7 else f"{size / 1e6:.0f} MB"


def _machine() -> int | None:
    return _field("/proc/meminfo", "MemAvailable:")


def _container(root: Path) -> int | None:
    limit = _container_limit(root)
    if limit is None:
        return None
    # The page cache is reclaimed on demand.
    for usage, statistics, cached in (
        ("memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError):
            used = int((root / usage).read_text())
            return limit - used + (_field(str(root / statistics), cached, unit=1) or 0)
    return None


def _container_limit(root: Path) -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limit = int((root / name).read_text())
            return limit if limit < _NO_LIMIT_BYTES else None
    return None


def _address_space() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _field("/proc/self/status", "VmSize:")
    return None if limit == resource.RLIM_INFINITY or used is None else round((limit - used) / _ADDRESSES_PER_BYTE)


def _field(path: str, name: str, unit: int = 1024) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path(path).read_text().splitlines():
            words = line.split()
            if words and words[0] == name:
                return int(words[1]) * unit
    return None
