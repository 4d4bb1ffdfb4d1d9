"""Tables and media in; a checked, cleaned and split table out. Imports no torch."""
