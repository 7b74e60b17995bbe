"""Performance from commit to commit: ``python -m benchmarks.dashboard``.

- ``commits``: which commits are measured
- ``defaults``: which benchmarks, where the results and pages go
- ``machine``: what the results say of the machine, and what they do not
- ``measure``: asv's run over the commits
- ``publish``: asv's pages, with the scripts in ``vendor`` instead of those of a network
- ``offline``, ``vendored``: those scripts, and the page that loads them
- ``merges``: a plugin of asv, by which pages show commits of merged branches, too
- ``check``: ratios to peers that became worse
"""
