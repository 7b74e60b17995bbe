"""asv suites, and commands that print tables: ``python -m benchmarks.<name>``.

- ``support``: layers, problems, clocks, tables, the machine's name; shared by all
- ``suites``: what asv runs; they import ``support`` alone
- ``papers``: the experiments of documents, a command each
- ``gpu``: one command that checks and measures on a device
- ``results``: what the commands have written

Every other module or folder is a command.
"""
