"""The router: brings what runtimes say from the events queue into the journal."""
