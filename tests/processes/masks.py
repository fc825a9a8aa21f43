"""CPU masks of processes, as the kernel reports them."""

from pathlib import Path


def cpus(text):
    """The CPUs of a list such as `0-2,5`."""
    found = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            found |= set(range(int(first), int(last or first) + 1))
    return found


def allowed(pid="self"):
    """The CPUs on which the main thread of a process may run."""
    return thread_masks(pid)[0]


def thread_masks(pid):
    """The CPUs of each thread of a process; empty if it has ended."""
    masks = []
    try:
        tasks = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name))
    except OSError:
        return masks
    for task in tasks:
        try:
            status = (task / "status").read_text()
        except OSError:
            continue
        line = next(line for line in status.splitlines() if line.startswith("Cpus_allowed_list:"))
        masks.append(cpus(line.split(":", 1)[1]))
    return masks


def tree(root):
    """A process and its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(") ", 1)[1].split()[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def tree_masks(root):
    """The CPUs of each thread of a process and its descendants."""
    return [mask for pid in tree(root) for mask in thread_masks(pid)]
