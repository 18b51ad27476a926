"""Commands, one file each. `boot.py` imports no click; `main.py` builds click's tree from the tables."""
