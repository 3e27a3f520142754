"""A rollback by a script in a process of its own: `python -m bench.speed.script ORG FLOW`."""

import sys

from bench.speed.calls import Calls, steps

if __name__ == "__main__":
    for step in steps(Calls(sys.argv[1])):
        step(sys.argv[2])
