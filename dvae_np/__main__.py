"""python -m dvae_np"""

import sys

from dvae_np.cli import main

sys.exit(main())
