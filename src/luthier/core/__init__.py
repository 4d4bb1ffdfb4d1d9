"""What every part stands on, and what knows no machine learning: decisions, families, files, processes, progress."""
