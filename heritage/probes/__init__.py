"""Probes: classifiers fitted to stored features in seconds. Arrays alone: no data set, no network.

`heritage.probes.selection` chooses a setting by cross-validation; `logistic`, `ridge`, `prototypes` and
`neighbours` fit one task for many settings at once.
"""
