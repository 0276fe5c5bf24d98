"""Schemas of the configurations, their composition, validation and help texts.

Nothing here imports torch, so that help and error messages appear at once; `heritage.config.signatures` reads
the classes that a configuration names from their source.
"""
