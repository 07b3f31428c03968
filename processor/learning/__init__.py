"""Tasks, models, local training with Elastic Weight Consolidation, and the aggregation that the audit repeats."""
