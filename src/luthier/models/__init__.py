"""Pre-trained models: the catalogue, safe loading, blocks in order, heads, freezing."""
