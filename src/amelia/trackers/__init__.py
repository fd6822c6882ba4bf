"""Where issues come from: a Markdown file, or nowhere."""
