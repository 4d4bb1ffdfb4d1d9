"""A run on several machines: Ray starts the workers, each runs the same pipeline, and the records are those of one machine."""
