"""Studies: many trials over a space of settings, kept in a database that survives whatever happens to their processes.

`space` says what may vary, `spaces` what varies where nobody says so, `samplers` propose values, `pruners` end hopeless trials,
`study` keeps every trial (Optuna's storage), `work` makes them, `importance` and `optimism` read them. Nothing here knows how
a trial is run: the pipeline hands that in. Optuna is imported by `study`, and by nothing that other verbs need.

The package is not called `search`: it would stand in the place of the function `luthier.search`.
"""
