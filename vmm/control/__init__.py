"""Running a machine and talking to it: `run.py` from VmConfig to exit code, `report.py` how it ended,
`statedir.py` the state directory, `qmp.py` the control socket, `verbs.py` what it understands, and
`escape.py` the console's escape key."""
