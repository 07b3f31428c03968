"""The federation of processes behind `koinon demo`."""
