"""The bench: the same work done by this package, by bare matrix products, and by the frameworks that are installed.

problems      what is timed: sections of cases, and the arrays that every contestant gets
contestants/  one stand-alone script a library; none imports another's
worker        the process that a contestant lives in
turns         contestants and cases take turns, so that the machine's moods meet all of them
measure       the run: times, first calls, peaks of memory, growth
summary       tables, targets and whether they are met
"""
