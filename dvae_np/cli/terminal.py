"""Standard output and error that lose neither words nor work."""

import contextlib
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
        """Write, to nowhere from the moment that nobody reads. Raises OSError where it could not be written, once."""
        try:
            return self.stream.write(text)
        except OSError as error:
            return self._stop(error)

    def flush(self):
        """The same with what has been written so far."""
        try:
            self.stream.flush()
        except OSError as error:
            self._stop(error)

    def _stop(self, error):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            raise OSError(error.errno, error.strerror, self.stream.name) from None
        return 0


class Patience:
    """Standard output and error as `Patient` ones, until the end of a with statement."""

    def __enter__(self):
        self.before = sys.stdout, sys.stderr  # None where they were closed before Python began
        sys.stdout, sys.stderr = (Patient(stream or open(os.devnull, "w")) for stream in self.before)

    def __exit__(self, *error):
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        sys.stdout, sys.stderr = self.before
