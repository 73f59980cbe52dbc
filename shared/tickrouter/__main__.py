"""`python -m tickrouter`, the same as the command `tickrouter`."""

from tickrouter._launch import main

main()
