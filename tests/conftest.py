"""Settings of all tests: one BLAS thread, set before NumPy is imported, for steady times and the same bits every time."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
