"""Predictions in; measures, intervals, comparisons and a verdict out. Sees records and arrays, never a model; no torch."""
