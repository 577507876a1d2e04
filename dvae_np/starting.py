"""Ctrl-C while `python -m dvae_np` is still importing: it ends as it would later on, in words and with status 130."""

import os
import signal
import sys


def stop(number, frame):
    """End the process at once: so early there is nothing to save."""
    os.write(2, b"dvae_np: stopped\n")
    os._exit(130)


# While Python looks for what -m names, argv[0] is still "-m"; the installed command has its own name there.
if (sys.argv[:1] == ["-m"] and "dvae_np" in sys.orig_argv) or os.path.basename(sys.argv[0]) in (
    "dvae_np",
    "dvae_np.exe",
):
    signal.signal(signal.SIGINT, stop)
