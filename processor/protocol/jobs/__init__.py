"""What daemons ask of a worker: jobs, each a folder, and what comes of them. No torch: the worker has that."""
