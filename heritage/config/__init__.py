"""The typed schema of the configurations, and the checks that run before anything starts.

`heritage.config.schema` and `heritage.config.faults` import nothing heavy; `heritage.config.validate`
imports whatever a configuration's ``_target_`` names.
"""
