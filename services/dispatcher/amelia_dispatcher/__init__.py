"""The dispatcher: commands to attempts and deliveries; the outbox relay and the sweeper beside it."""
