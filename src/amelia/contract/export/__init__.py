"""The contract as documents: JSON Schema for every message, AsyncAPI, and an example of each.

Pure: ``scripts/schemas.py`` writes what this package makes. Nothing at runtime imports it.
"""
