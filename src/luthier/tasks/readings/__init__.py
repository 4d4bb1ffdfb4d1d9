"""Ways to read a row: a text, a pair of texts, a picture. What is answered about it is in `answers`."""
