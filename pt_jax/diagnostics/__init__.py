"""Measures on any network: pure functions of arrays and parameter pytrees, one file a measure. It knows no world."""
