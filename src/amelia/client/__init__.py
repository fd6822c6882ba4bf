"""A client of the control plane: ``http`` asks and orders, ``stream`` follows, ``discover`` finds it."""
