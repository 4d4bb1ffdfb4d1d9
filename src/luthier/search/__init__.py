"""Search: many trials over a space of settings, in one study that survives whatever happens to its processes.

`space` says what may vary, `spaces` what varies where nobody says so, `samplers` propose values, `pruners` end hopeless trials,
`study` keeps every trial (Optuna's storage), `work` makes them, `importance` and `optimism` read them. Nothing here knows how
a trial is run: the pipeline hands that in. Optuna is imported by `study`, and by nothing that other verbs need.
"""
