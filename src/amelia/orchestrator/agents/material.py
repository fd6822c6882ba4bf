"""What agents are shown and do not take orders from: the issue, files, changes and output, each in a fence."""

import re

from ...contract.workflow import Issue
from ...tools.toolbox import shorten

LONGEST_ISSUE = 60_000


def fenced(kind: str, text: str, **attributes: str) -> str:
    """``text`` between tags of ``kind``, which it cannot close by itself: there ``<`` becomes ``&lt;``."""
    given = "".join(f' {name}="{_in_quotes(value)}"' for name, value in attributes.items() if value)
    closed = re.sub(rf"<(?=\s*/\s*{kind}\b)", "&lt;", text.strip("\n"), flags=re.IGNORECASE)
    return f"<{kind}{given}>\n{closed}\n</{kind}>"


def told(issue: Issue) -> str:
    """The issue as every agent is told it."""
    text = f"# {issue.title}\n\n{shorten(issue.body, LONGEST_ISSUE)}".rstrip()
    return fenced("issue", text, id=issue.id, labels=", ".join(issue.labels))


def _in_quotes(text: str) -> str:
    return " ".join(text.split()).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
