"""Children that do not outlive their parent, even one that was killed.

On Linux the kernel sends the signal (prctl(2), PR_SET_PDEATHSIG) when the *thread* that started
the child ends, so children are started from a thread that lives as long as they should. Elsewhere
only an orderly stop ends them.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def ending_with_parent() -> Callable[[], None] | None:
    """Return what `subprocess.Popen` is to call in the child before it starts, or None."""
    if sys.platform != "linux":
        return None
    # Looked up here: between fork and exec the child may only make plain calls.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            # The parent died before the call: nobody would send the signal any more.
            os.kill(os.getpid(), signal.SIGKILL)

    return bind
