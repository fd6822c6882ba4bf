"""Invoices: what is owed, and how much of it is tax."""
