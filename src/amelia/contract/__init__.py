"""The wire: commands, events and what travels inside them. msgspec only, no I/O, no behaviour."""
