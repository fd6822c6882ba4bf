"""``amelia workflows``: where its commands are."""

from .lazy import LazyGroup

workflows = LazyGroup(
    name="workflows",
    commands_at={
        "list": ("amelia_cli.reading:list_workflows", "The fleet's workflows, newest first."),
        "show": ("amelia_cli.reading:show", "One workflow: its state, and why it waits or how it ended."),
        "plan": ("amelia_cli.reading:plan", "What the Architect proposes."),
        "approve": ("amelia_cli.deciding:approve", "Let the Developer carry out the plan."),
        "revise": ("amelia_cli.deciding:revise", "Send the plan back to the Architect, with feedback."),
        "reject": ("amelia_cli.deciding:reject", "Refuse the plan, which ends the workflow."),
        "cancel": ("amelia_cli.controlling:cancel", "End a workflow now."),
        "pause": ("amelia_cli.controlling:pause", "Let nothing of it run until it is resumed."),
        "resume": ("amelia_cli.controlling:resume", "End a pause, with another budget or the old one."),
        "retry": ("amelia_cli.controlling:retry", "Another go at what failed or was cancelled."),
        "message": ("amelia_cli.controlling:message", "Tell the agents something before their next turn."),
        "logs": ("amelia_cli.logs:logs", "What happened, and with --follow what happens."),
        "watch": ("amelia_cli.watching:watch", "What happens in the whole fleet."),
        "diff": ("amelia_cli.reading:diff", "The change as a unified diff."),
        "apply": ("amelia_cli.apply:apply", "Bring the work into a checkout here, as a branch."),
        "export": ("amelia_cli.export:export", "A conversation file of what the model said."),
        "artifacts": ("amelia_cli.artifacts:artifacts", "What its runs kept, to look at or to fetch."),
        "usage": ("amelia_cli.usage:usage", "Tokens and cost, by agent, task and model."),
    },
    help="""Look at the fleet's workflows and decide them. An ID may be shortened while it stays unique.

    \b
    Examples:
      amelia workflows list
      amelia workflows approve wf-3f2a
    """,
)
