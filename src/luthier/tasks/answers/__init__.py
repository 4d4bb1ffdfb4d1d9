"""Kinds of answer about a row: one label. How the row is read is in `readings`."""
