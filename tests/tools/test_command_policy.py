"""Which commands need a person."""

from pathlib import Path

import pytest

from amelia.drivers.base import ToolCall
from amelia.errors import Refused
from amelia.tools.command_policy import OURS, command_policy
from amelia.tools.toolbox import READING, WRITING, Toolbox
from amelia.tools.workshop import Workshop
from amelia.workspace.tree import Tree

ROOT, HOME = Path("/w/tree"), Path("/w/home")

NEED_A_PERSON = r"""git push
git -C sub push
git -c core.pager=cat push -u origin HEAD
cd a && git push origin main
FOO=1 git push
sudo -u me git push
sh -c 'git push'
bash -lc "cd x; npm publish"
env A=b npm publish --access public
npm --prefix x publish
python -m twine upload dist/*
python3 setup.py sdist upload
gh release create v1
gh -R a/b pr merge 3
gh api -X POST /repos/a/b
terraform -chdir=x apply -auto-approve
tofu destroy
kubectl -n prod delete pod x
aws --region us-east-1 s3 rm s3://b/x
aws ec2 terminate-instances --instance-ids i
gcloud compute instances delete x
rm -rf /
rm -rf ../other
rm -rf ~/../x
find / -name x -delete
echo $(git push)
echo `git push`
timeout 5 git push
find . -name x | xargs -n1 git push
if true; then git push; fi
for i in a b; do npm publish; done
(cd x && (git push))
git push|cat
true||git push
eval 'git push'
docker build --push .
./gradlew :lib:publish
npx semantic-release
poetry run twine upload x
find . -exec git push \;
nohup git push &
uv publish
/usr/bin/git push
git \
push"""

DO_NOT = r"""git status
git commit -m push
git commit -m 'git push comes later'
git log --grep push
echo git push
grep -r 'npm publish' .
npm run build
npm publish --dry-run
terraform plan
kubectl get pods
aws s3 ls
aws sts get-caller-identity
rm -rf build node_modules
rm -rf "$TMPDIR/x" $HOME/x ~/y /tmp/z
rm x 2>/dev/null
find . -name '*.pyc' -delete
mv a.py src/b.py && rm -r old
python3 -c 'print("git push")'
docker build .
gh pr view 3
gh api repos/a/b
make push
for i in 1 2; do echo $((i+1)); done
dd if=/dev/zero of=x count=1
touch a; rm a # not /etc
echo "an open quote
npm run publish:check"""


@pytest.mark.parametrize("line", NEED_A_PERSON.replace("\\\npush", "\\\0push").split("\n"))
def test_what_pushes_publishes_deploys_or_deletes_elsewhere_needs_a_person(line: str) -> None:
    assert command_policy({}).judge(line.replace("\0", "\n"), ROOT, HOME) is not None


@pytest.mark.parametrize("line", DO_NOT.split("\n"))
def test_what_stays_in_the_worktree_does_not(line: str) -> None:
    assert command_policy({}).judge(line, ROOT, HOME) is None


def test_what_a_shell_is_fed_is_read_and_what_a_file_is_fed_is_not() -> None:
    policy = command_policy({})
    for shell in ("bash <<'E'\ngit push\nE\n", "cat <<E | sh\ngit push\nE\n"):
        assert policy.judge(shell, ROOT, HOME) is not None
    assert policy.judge("cat <<E > notes.md\ngit push\nE\n", ROOT, HOME) is None


async def test_a_command_that_needs_a_person_is_not_run_and_is_remembered(tree: Tree) -> None:
    box = Toolbox(READING | WRITING, Workshop(tree))
    for _ in range(2):
        answer = await box.use(ToolCall("1", "run_command", {"command": "touch ran; git push --all"}))
    assert not answer.ok
    assert answer.content.startswith("not run: `git push --all` needs a person (it pushes to another repository")
    assert not (tree.root / "ran").exists()
    assert box.needs_person == [
        "a person has to decide about `git push --all`, which was not run: it pushes to another repository; the work "
        "is handed in without that"
    ]


def test_a_file_of_ones_own_replaces_the_rules_or_adds_to_them(tmp_path: Path) -> None:
    file = tmp_path / "commands.yaml"
    file.write_text(
        "ours: true\nallow: [git push --tags]\nrules: [{why: it deploys, commands: ['make {deploy,ship}*']}]"
    )
    own = command_policy({"AMELIA_COMMAND_POLICY": str(file)})
    found = own.judge("make -j4 ship-it", ROOT, HOME)
    assert found is not None
    assert found.why == "it deploys"
    assert own.judge("git push", ROOT, HOME) is not None
    assert own.judge("git push --tags", ROOT, HOME) is None
    alone = tmp_path / "alone.yaml"
    alone.write_text("rules: []")
    assert command_policy({"AMELIA_COMMAND_POLICY": str(alone)}).judge("git push", ROOT, HOME) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [{commands: [x]}]", "does not fit: .*why"),
        ("rules: [{why: x, comands: [x]}]", "does not fit: .*comands"),
        ("rules: [", "is not YAML"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_its_name(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "commands.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Refused, match=f"commands.yaml {said}"):
        command_policy({"AMELIA_COMMAND_POLICY": str(file)})


def test_every_rule_of_ours_says_why() -> None:
    policy = command_policy({"AMELIA_COMMAND_POLICY": str(OURS)})
    assert len(policy.rules) > 5
    assert all(rule.why and rule.commands for rule in policy.rules)


def test_a_stash_is_done_otherwise_and_asks_nobody() -> None:
    finding = command_policy({}).judge("git stash && make test; git stash pop", ROOT, HOME)
    assert finding is not None and "git apply" in finding.instead
    assert command_policy({}).judge("git stash list", ROOT, HOME) is None
