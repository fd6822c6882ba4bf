"""Adapters that keep everything in this process: for demonstrations, tests and simulations."""
