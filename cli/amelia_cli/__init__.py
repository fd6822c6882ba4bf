"""The command ``amelia``: works an issue here, or has a fleet work it."""
