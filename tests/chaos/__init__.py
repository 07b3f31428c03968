"""`make chaos`: a federation of processes, everything that can go wrong with it, and what must hold all the same."""
