"""Running a machine and talking to it.

`run.py` goes from VmConfig to exit code, `report.py` says how it ended, `statedir.py` keeps the
state directory, `qmp.py` the control socket, `verbs.py` what it understands, `escape.py` the
console's escape key.
"""
