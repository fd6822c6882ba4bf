"""The api: requests to the journal, the journal to requests and streams."""
