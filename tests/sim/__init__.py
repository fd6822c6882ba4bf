"""The fleet in one process on a virtual clock: the real parts, with everything around them misbehaving by a seed."""
