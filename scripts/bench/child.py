"""Start a command; write when it began, how long it took and its peak memory.

Command: python child.py RESULT.json COMMAND ...

A program of its own, and a small one: on Linux the peak of a process begins with that
of the process which started it, so a command that were started by the benchmark
itself would seem to need all that the benchmark ever had.
"""

import json
import os
import subprocess
import sys
import time


def main() -> int:
    """Run the command of the command line; its exit code."""
    result, *command = sys.argv[1:]
    # The clock of time.perf_counter is one for all processes of a machine.
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    measured = {
        "began": began,
        "seconds": seconds,
        "peak_bytes": usage.ru_maxrss * unit,
    }
    with open(result, "w") as file:
        json.dump(measured, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
