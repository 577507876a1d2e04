"""Standard output and error that lose neither words nor work."""

import os
import sys


class Patient:
    """A stream that goes on where nobody reads any more: who ends a pipe early, as `head`, has read enough.

    Characters that its encoding does not have become question marks.
    """

    def __init__(self, stream):
        self.stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        """Write, to nowhere from the moment that nobody reads."""
        try:
            return self.stream.write(text)
        except BrokenPipeError:
            return self._unread(text)

    def flush(self):
        """The same with what has been written so far."""
        try:
            self.stream.flush()
        except BrokenPipeError:
            self._unread()

    def _unread(self, text=""):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)
        return len(text)


class Patience:
    """Standard output and error as `Patient` ones, until the end of a with statement."""

    def __enter__(self):
        self.before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = map(Patient, self.before)

    def __exit__(self, *error):
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = self.before
