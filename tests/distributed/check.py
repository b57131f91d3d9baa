#!/usr/bin/env python3
"""check.py EXAMPLES: training by 1, 2 and 4 processes of mpirun beside one without it: the same loss
curve, the same model; what a step takes and how much of it is waiting; and what happens when a
process is killed, or told to stop. EXAMPLES is the folder of the programs."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

EXAMPLES = pathlib.Path(sys.argv[1]).resolve()
# More processes than processors, and as root where tests run in a container.
MPIRUN = ["mpirun", "--oversubscribe", "--allow-run-as-root", "--bind-to", "none"]
CASES = {
    "tiny_lm": ("tiny_lm", ["--steps", "40", "--seed", "3"]),
    "mlp_classifier": ("mlp_classifier", ["--steps", "60", "--seed", "3", "--batch-size", "96"]),
    # The parts have 48 rows and 49, and each row weighs the same.
    "unequal": ("mlp_classifier", ["--steps", "60", "--seed", "3", "--batch-size", "97"]),
}
failures = []


def why(run):
    """What a program that failed has said."""
    return run.stderr[-600:] if run.returncode else ""


def expect(holds, what):
    print(("ok    " if holds else "WRONG ") + what, flush=True)
    if not holds:
        failures.append(what)


def command(program, count, options):
    start = [*MPIRUN, "-n", str(count)] if count else []
    return [*start, str(EXAMPLES / program), *options, *(["--distributed"] if count else [])]


def train(program, count, options):
    run = subprocess.run([*command(program, count, options), "--json", "-"], capture_output=True,
                         text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    events = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return run, events


def steps(events):
    return [event for event in events if event["event"] == "step"]


def tokens(events):
    """That training has read, by what is said of its speed."""
    result = events[-1]
    return round(result["metrics"]["tokens_per_second"] * result["train_seconds"])


def curves(folder):
    for name, (program, options) in CASES.items():
        alone_run, alone = train(program, 0, [*options, "--save", str(folder / f"{name}-0")])
        expect(alone_run.returncode == 0, f"{name} runs alone {why(alone_run)}")
        for count in (1, 2, 4):
            saved = folder / f"{name}-{count}"
            run, events = train(program, count, [*options, "--save", str(saved)])
            expect(run.returncode == 0 and len(steps(events)) == len(steps(alone)),
                   f"{name} by {count}: {len(steps(events))} steps {why(run)}")
            apart = [abs(a["loss"] - b["loss"]) / abs(b["loss"])
                     for a, b in zip(steps(events), steps(alone))]
            expect(apart and all(by <= 2e-5 for by in apart),  # NaN is not
                   f"{name} by {count}: losses apart by {max(apart, default=1):.1e} at most")
            again, events_again = train(program, count, options)
            expect([s["loss"] for s in steps(events)] == [s["loss"] for s in steps(events_again)],
                   f"{name} by {count}: again the same bits")
            told = [event for event in events if event["event"] == "distributed"]
            expect(len(told) == 1 and told[0]["processes"] == count, f"{name} by {count}: told once")
            if program == "tiny_lm":
                expect(tokens(events) == tokens(alone),
                       f"{name} by {count}: {tokens(events)} tokens in all")
            seconds = steps(events)[-1]["seconds"]
            print(f"      {name} by {count}: {1000 * seconds / len(steps(events)):.2f} ms a step, "
                  f"{100 * told[0]['waited_seconds'] / seconds:.0f} % of it waiting "
                  f"({1000 * steps(alone)[-1]['seconds'] / len(steps(alone)):.2f} ms alone)")


def apart(folder):
    """Rows that are alike (but for one, as a column must differ somewhere), and targets smoothed until
    classes do not matter: the losses of two parts differ by dropout alone. Were their masks the same,
    both would lose what a process alone loses on one such row."""
    data = folder / "alike.csv"
    data.write_text("size,kind\n" + "2,a\n" + "1,a\n1,b\n" * 200, encoding="utf-8")
    options = ["--data", str(data), "--target", "kind", "--label-smoothing", "1", "--steps", "5"]
    _, one = train("mlp_classifier", 0, [*options, "--batch-size", "1"])
    for batch in (2, 3):  # parts of one row each; and of one and two
        run, events = train("mlp_classifier", 2, [*options, "--batch-size", str(batch)])
        again, events_again = train("mlp_classifier", 2, [*options, "--batch-size", str(batch)])
        losses = [step["loss"] for step in steps(events)]
        expect(len(losses) == 5 and losses == [step["loss"] for step in steps(events_again)],
               f"dropout by 2, {batch} rows: again the same bits {why(run)}{why(again)}")
        if batch == 2:
            both, single = losses[0], steps(one)[0]["loss"]
            expect(abs(both - single) > 1e-4 * single,
                   f"dropout by 2: masks of their own, the loss is {both}, not {single}")


def processes_of(run):
    """Those that this mpirun has started, oldest first."""
    out = subprocess.run(["pgrep", "-P", str(run.pid), "-x", "tiny_lm"], capture_output=True,
                         text=True, check=False)
    return [int(pid) for pid in out.stdout.split()]


def is_running(pid):
    """Nobody may have asked yet how one that has ended did."""
    stat = pathlib.Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_end(processes):
    """Whether there were two, and none is left."""
    for _ in range(100):
        if not any(map(is_running, processes)):
            return len(processes) == 2
        time.sleep(0.1)
    return False


def disturbed(folder, name, disturb):
    """A run of 2 that is disturbed once it has made steps: how it ended, what it said, its checkpoints,
    its folder and its processes."""
    saved, csv = folder / name, folder / f"{name}.csv"
    options = ["--steps", "100000", "--seed", "3", "--save", str(saved), "--save-every", "20",
               "--csv", str(csv)]
    run = subprocess.Popen(command("tiny_lm", 2, options), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        time.sleep(0.1)
        if list(saved.glob("checkpoint-*.safetensors")):
            break
    processes = processes_of(run)
    disturb(run)
    try:
        output = run.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        run.kill()
        output = run.communicate()
    checkpoints = sorted(int(re.search(r"-(\d+)\.", path.name).group(1))
                         for path in saved.glob("checkpoint-*.safetensors"))
    return run.returncode, output[1], checkpoints, saved, processes


def kill_one(run):
    os.kill(processes_of(run)[-1], signal.SIGKILL)


def lost(folder):
    code, said, checkpoints, saved, processes = disturbed(folder, "lost", kill_one)
    expect(code != 0, f"a killed process ends the run: exit code {code}")
    expect("ended" in said or "exited on signal 9" in said, "and it is said")
    print("\n".join("      | " + line for line in said.splitlines()[-12:]))
    expect(bool(checkpoints), f"checkpoints of steps {checkpoints} are left")
    expect(all_end(processes), "no process is left")
    target = str(checkpoints[-1] + 5) if checkpoints else "5"
    run, events = train("tiny_lm", 2, ["--resume", str(saved), "--steps", target])
    expect(run.returncode == 0 and len(steps(events)) == 5,
           f"and the run goes on from step {checkpoints[-1] if checkpoints else '-'} "
           f"{why(run)}")


def told_to_stop(folder):
    """One of them is enough: all make the same last step. mpirun itself ends its processes soon after
    it has told them, and may lose what they say."""
    for name, tell in (("told", lambda run: os.kill(processes_of(run)[-1], signal.SIGTERM)),
                       ("mpirun", lambda run: run.send_signal(signal.SIGTERM))):
        code, said, checkpoints, saved, processes = disturbed(folder, name, tell)
        if name == "told":
            expect(code == 143 and "interrupted after step" in said,
                   f"a process that is told to stop stops all of them: exit code {code}")
            print("\n".join("      | " + line for line in said.splitlines()[-12:]))
        expect(bool(checkpoints), f"{name}: checkpoints of steps {checkpoints} are left")
        expect(all_end(processes), f"{name}: no process is left")
        run, events = train("tiny_lm", 0, ["--resume", str(saved), "--steps", str(checkpoints[-1] + 5)])
        expect(run.returncode == 0 and len(steps(events)) == 5,
               f"{name}: goes on from step {checkpoints[-1]}, in one process {why(run)}")


def refused(_):
    run, _ = train("mlp_classifier", 4, ["--steps", "2", "--batch-size", "3"])
    expect(run.returncode != 0 and "a batch of 3 rows for 4 processes" in run.stderr,
           "fewer rows than processes are refused")
    run, _ = train("mlp_classifier", 2, ["--lr", "1e30", "--steps", "50"])
    expect(run.returncode == 4 and "not finite" not in run.stdout, f"a loss that is not finite ends all: {run.returncode}")


with tempfile.TemporaryDirectory() as place:
    for part in (curves, apart, lost, told_to_stop, refused):
        part(pathlib.Path(place))
sys.exit(1 if failures else 0)
