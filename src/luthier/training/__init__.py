"""How a model learns: methods, the loop, the ladder."""
