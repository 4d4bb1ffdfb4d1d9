"""Pre-trained models: the catalogue, safe loading, blocks in order, heads, freezing.

`layout` finds the blocks of any module, `backbone` runs them and can start at any block, `freeze` says which of them train.
"""
