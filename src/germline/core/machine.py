"""How much this computer has to give: cores and memory that this process may use."""

import os
from contextlib import suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUPS = (  # limit and use of the container, second and first version
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Return the bytes that new processes can take before something is swapped or killed.

    The least of what the kernel calls available and what the container has left; where neither is told, half of all memory.
    """
    known = []
    with suppress(OSError, ValueError, StopIteration):
        known.append(1024 * int(next(line for line in MEMINFO.read_text().splitlines() if line.startswith("MemAvailable")).split()[1]))
    for limit, used in CGROUPS:
        with suppress(OSError, ValueError):  # "max" is no number: no limit
            known.append(max(0, int(limit.read_text()) - int(used.read_text())))
    return min(known) if known else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
