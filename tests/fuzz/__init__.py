"""Servers that answer what a script or a seed says, and clients of ours that have to come out of it unharmed."""
