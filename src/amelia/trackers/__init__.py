"""Where issues come from, and where is said what becomes of them: files, GitHub, Jira, or nowhere."""
