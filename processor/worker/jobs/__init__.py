"""The jobs that there are: each reads a job's folder, and says what came of it."""
