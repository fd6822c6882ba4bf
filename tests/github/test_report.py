"""What people read: the title and the body of a pull request."""

import pytest

from amelia.contract.events import ReviewCompleted, TaskCompleted, WorkflowCompleted
from amelia.contract.plan import Comment, Plan, Task, Verdict
from amelia.contract.workflow import Issue, Money
from amelia.domain.report import MOST_CHARACTERS, Report, body, gathered, marked, marker, title

from .conftest import WORKFLOW

ISSUE = Issue(id="SHOP-1", title="Add a shop")
PLAN = Plan(
    summary="Adds a shop.",
    tasks=(
        Task(id="a", title="Write it", description="", files=("shop.py",)),
        Task(id="b", title="Test it", description=""),
        Task(id="c", title="Ship it", description=""),
    ),
)


def report(issue: Issue = ISSUE, **fields: object) -> Report:
    return Report(workflow_id=WORKFLOW, issue=issue, **fields)  # type: ignore[arg-type]


def test_the_body_tells_the_whole_workflow() -> None:
    told = [
        TaskCompleted(id="1", workflow_id=WORKFLOW, task_id="a", status="failed"),
        TaskCompleted(id="2", workflow_id=WORKFLOW, task_id="a", status="completed", commit="a" * 40, summary="Done."),
        TaskCompleted(id="3", workflow_id=WORKFLOW, task_id="b", status="failed", summary="No."),
        ReviewCompleted(
            id="4",
            workflow_id=WORKFLOW,
            verdict=Verdict(
                approved=False,
                summary="Nearly.",
                comments=(Comment(severity="major", message="Close the door.", file="shop.py", line=3),),
            ),
        ),
        WorkflowCompleted(id="5", workflow_id=WORKFLOW, result="success", unresolved=("the door",)),
    ]
    spent = Money(input_tokens=1_200_000, output_tokens=3_400, cost_microdollars=12_345_678)
    whole = gathered(WORKFLOW, ISSUE, PLAN, spent, told)
    assert whole.draft
    assert body(whole) == (
        "Issue **SHOP-1**: Add a shop\n\n"
        "## Unresolved\n\n- the door\n\n"
        "## Plan\n\nAdds a shop.\n\n"
        "## Tasks\n\n"
        "- [x] **Write it** `aaaaaaaaaa`: Done.\n"
        "- [ ] **Test it** (failed): No.\n"
        "- [ ] **Ship it** (not done)\n\n"
        "## Review\n\nNot approved.\n\nNearly.\n\n- **major** `shop.py:3`: Close the door.\n\n"
        "## Cost\n\n$12.35 for 1,200,000 tokens read and 3,400 written.  \n"
        f"Workflow `{WORKFLOW}`.\n\n{marker(WORKFLOW)}"
    )


def test_a_draft_is_what_leaves_something_to_a_person() -> None:
    assert not report().draft
    assert not report(verdict=Verdict(approved=True, summary="")).draft
    assert report(verdict=Verdict(approved=False, summary="")).draft
    assert report(unresolved=("x",)).draft
    failed = TaskCompleted(id="1", workflow_id=WORKFLOW, task_id="a", status="failed")
    assert report(tasks={"a": failed}).draft


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("ask @acme/team now", "@acme"),
        ("_@team_", "@team"),
        ("&#64;team", "&#64;"),
        ("&commat;team", "&commat;"),
        ("fixes #12", "#12"),
        ("closes acme/other#3", "#3"),
        ("Resolves GH-7", "GH-7"),
        ("fixes https://github.com/acme/shop/issues/5", "/issues/5"),
        ("<!-- amelia: wf-another -->", "<!--"),
        ("<details><summary>", "<details"),
        ("![x](https://evil.invalid/?q)", "!["),
        ("key AKIAABCDEFGHIJKLMNOP", "AKIAABCD"),
        ("token ghp_abcdefghijklmnopqrstuvwxyz0123", "ghp_abc"),
        ("https://me:hunter2@host/x", "hunter2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n", "MIIabc"),
        ("\u202egnp.exe", "\u202e"),
    ],
)
def test_no_text_of_a_stranger_has_an_effect(text: str, effect: str) -> None:
    verdict = Verdict(approved=True, summary=text, comments=(Comment(severity="info", message=text, file=text),))
    done = TaskCompleted(id="1", workflow_id=WORKFLOW, task_id="a", status="completed", summary=text)
    plan = Plan(summary=text, tasks=(Task(id="a", title=text, description=text),))
    issue = Issue(id=text, title=text)
    whole = report(issue=issue, plan=plan, verdict=verdict, tasks={"a": done}, unresolved=(text,))
    assert effect not in body(whole).removesuffix(marker(WORKFLOW))
    assert effect not in title(whole)
    assert body(whole).count("<!-- amelia:") == 1


def test_what_is_too_long_loses_its_middle_and_keeps_cost_and_marker() -> None:
    tasks = tuple(Task(id=f"t{n}", title=f"task {n} {'x' * 90}", description="") for n in range(900))
    comments = tuple(Comment(severity="minor", message="y" * 5000) for _ in range(300))
    whole = report(
        plan=Plan(summary="```\n" + "z" * 100_000, tasks=tasks),
        verdict=Verdict(approved=True, summary="fine", comments=comments),
        unresolved=tuple(f"{n}" + "u" * 1000 for n in range(200)),
        spent=Money(cost_microdollars=1),
    )
    text = body(whole)
    assert len(text) <= MOST_CHARACTERS
    assert text.endswith(f"Workflow `{WORKFLOW}`.\n\n{marker(WORKFLOW)}")
    assert "characters elided" in text
    assert "less than $0.01" in text
    assert text.count("```") == 2
    assert "and 250 more comments" in text
    assert len(title(report(issue=Issue(id="x", title="w" * 300)))) <= 256


def test_marking_twice_is_marking_once() -> None:
    once = marked("text", WORKFLOW)
    assert marked(once, WORKFLOW) == once
    assert len(marked("x" * 100_000, WORKFLOW)) == MOST_CHARACTERS


def test_the_title_names_the_issue_once() -> None:
    assert title(report()) == "SHOP-1: Add a shop"
    assert title(report(issue=Issue(id="SHOP-1", title="shop-1 again\nand more"))) == "shop-1 again and more"
