"""The model folder: what is saved, loaded again, asked for predictions, and described by its card."""
