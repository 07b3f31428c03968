"""Tasks, models, and local training with Elastic Weight Consolidation."""
