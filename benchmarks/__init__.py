"""What the gateway costs, each figure with its control measured in the same run."""
