"""What the agents answer, and the repositories they work on."""

import json
import random
import subprocess
from pathlib import Path

from tests.chaos.evidence import Intent, Story

_USUAL: list[Intent] = ["approve", "tell", "pause", "revise", "retry"]
_IDENTITY = ("-c", "user.name=Chaos", "-c", "user.email=chaos@example.invalid")


def make_repositories(root: Path, count: int) -> list[Path]:
    """Bare, with one commit on ``main``."""
    seedling = root / "seedling"
    seedling.mkdir(parents=True)
    (seedling / "README").write_text("A repository to be changed.\n")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], [*_IDENTITY, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=seedling, check=True)
    made = [root / f"repository-{number}.git" for number in range(count)]
    for path in made:
        subprocess.run(["git", "clone", "-q", "--bare", str(seedling), str(path)], check=True)
    return made


def stories(seed: int, count: int, repositories: list[str]) -> list[Story]:
    """In every ten of them most come to be approved: at once, after a revision, a pause, a message, or after they were
    cancelled and taken up again; the rest is rejected, cancelled, left waiting or cannot be cloned."""
    drawn = random.Random(f"stories/{seed}")
    local = [address for address in repositories if address.startswith("file:")]
    intents: list[Intent] = [*_USUAL, "auto", "auto", "cancel", "cancel", "reject"]
    found = []
    for number in range(count):
        intent = intents[number % 10]
        if number % 20 == 15:
            intent = "leave"
        elif number % 20 == 5:
            intent = "broken"
        broken = intent == "broken"
        address = drawn.choice(local if broken else repositories) + (".gone" if broken else "")
        tasks = tuple("abc"[: drawn.choice((1, 2, 2, 3))])
        issue = f"CHAOS-{number:03}"
        found.append(
            Story(
                key=f"{seed}-{number}",
                issue=issue,
                repository=address,
                intent=intent,
                proposes=not address.startswith("file:"),
                tasks=tasks,
            )
        )
    drawn.shuffle(found)
    return found


def file_of(issue: str, task: str) -> str:
    return f"{issue.lower()}-{task}.txt"


def write_conversation(path: Path, seed: int, told: list[Story]) -> Path:
    """Each task appends one line to a file of its own, so that a task done twice can be told from one done once."""
    drawn = random.Random(f"conversation/{seed}")
    sections: list[dict[str, object]] = []
    for story in told:
        sections += [{"issue": story.issue, **section} for section in _sections(story, drawn)]
    path.write_text(json.dumps({"version": 1, "latency": 0.02, "conversations": sections}))
    return path


def _sections(story: Story, drawn: random.Random) -> list[dict[str, object]]:
    tasks = [
        {
            "id": task,
            "title": f"Add {task}",
            "description": f"Append a line to {file_of(story.issue, task)}.",
            "files": [file_of(story.issue, task)],
            "verification": f"grep -q done {file_of(story.issue, task)}",
            **({"dependencies": [story.tasks[place - 1]]} if place and drawn.random() < 0.5 else {}),
        }
        for place, task in enumerate(story.tasks)
    ]
    plan = {"summary": f"Do {story.issue}.", "test_command": "true", "tasks": tasks}
    architect = {"agent": "architect", "repeat": True, "turns": [{"call": {"submit_plan": plan}, "latency": 0.2}]}
    review = {"submit_review": {"approved": True, "summary": "Good."}}
    reviewer = {"agent": "reviewer", "repeat": True, "turns": [{"call": review}]}
    return [architect, *(_developer(story, task, drawn) for task in story.tasks), reviewer]


def _developer(story: Story, task: str, drawn: random.Random) -> dict[str, object]:
    append = f"echo {story.issue} {task} done >> {file_of(story.issue, task)}; sleep {drawn.choice((0, 0.2))}"
    turns = [
        {"call": {"run_command": {"command": append}}},
        {"say": "I think about it. " * 5, "call": {"run_command": {"command": "ls"}}, "latency": drawn.random() * 0.6},
        {"call": {"finish_task": {"summary": f"{task} is done."}}},
    ]
    return {"agent": "developer", "task": task, "repeat": True, "turns": turns}
