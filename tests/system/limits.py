"""Takes more than a unit may have, from within its control group, as code in its daemon could.

    limits.py GROUP memory MIB      fills that much, saying how far it got; at the limit it is killed
    limits.py GROUP tasks NUMBER    starts that many processes; at the limit it says how many tasks there were, and why no more"""

import errno
import os
import sys


def memory(group, most):
    taken = []
    for number in range(1, most + 1):
        # Written to, and so really there.
        taken.append(b"\1" * (1 << 20))
        print(number, flush=True)


def tasks(group, most):
    waits, ends = os.pipe()
    for number in range(most):
        try:
            child = os.fork()
        except OSError as error:
            with open(f"{group}/pids.current", encoding="ascii") as file:
                print(file.read().strip(), errno.errorcode[error.errno])
            return
        if child == 0:
            # Until the parent ends.
            os.close(ends)
            os.read(waits, 1)
            os._exit(0)
    print(most, "all")


def main():
    group, what, most = sys.argv[1:]
    with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
        file.write(str(os.getpid()))
    {"memory": memory, "tasks": tasks}[what](group, int(most))


main()
