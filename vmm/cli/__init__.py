"""Commands, one file each. `boot.py` imports no click; `main.py` makes click from the tables."""
