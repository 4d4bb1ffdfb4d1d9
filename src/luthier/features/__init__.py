"""What frozen parts compute, computed once: passes over the data, the activation store, pooled features, probes."""
