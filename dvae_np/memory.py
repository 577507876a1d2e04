"""Freed memory that stays with the process. Nothing does this at import: a process is changed where training begins."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # their numbers in malloc.h


def keep_freed_memory():
    """Tell glibc, Linux's C library, to keep freed arrays for new ones; with another C library nothing happens.

    It gives them back to the kernel otherwise, and new ones are then paid for page by page, a third of a training step. It
    keeps arrays of up to 32 MB, the most that it takes, and up to a gigabyte in all. Commands and `fit` call this; so should a
    training loop of one's own.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)
