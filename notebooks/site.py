"""The course as a web site: python notebooks/site.py [DIR] [--mathjax DIR]; `site_build.py` says what is made, and of what."""

import os
import sys

if __name__ == "__main__":
    from site_build import main

    main(sys.argv[1:])
else:  # with this folder on PYTHONPATH an interpreter may look here for its own `site`, at its start: it shall have that one
    path = os.path.join(os.path.dirname(os.__file__), "site.py")
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), globals())
