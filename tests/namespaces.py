"""Whether this machine lets a test have a network and a root of its own."""

import shutil
import subprocess

OWN_NETWORK = ("unshare", "--user", "--map-root-user", "--net")


def _possible() -> bool:
    tools = ("unshare", "nsenter", "setpriv", "findmnt", "pivot_root", "ip")
    if any(shutil.which(tool) is None for tool in tools):
        return False
    attempt = [*OWN_NETWORK, "--mount", "--uts", "ip", "link", "set", "lo", "up"]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0


NAMESPACES = _possible()
"""Linux with user namespaces, util-linux and iproute2."""
