"""Trainings that must end in the same bits, whatever is around them; and what they reach for."""

import gzip
import hashlib
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

from figures import BUILD, ROOT, Figure, NotHere, Tally, environment, example, of, run

TRAININGS = {"mlp_classifier": ["--steps", "40"], "tiny_lm": ["--steps", "3"],
             "embeddings": ["--steps", "20"]}
# So large that there is work for 8 threads.
LARGER = {"mlp_classifier": ["--batch-size", "4096"]}


def model_of(name, folder, *, program=None, arguments=(), before=(), run=run, **kwargs):
    """A digest of the file that a training with seed 1 ends in."""
    kept = pathlib.Path(folder) / "model"
    shutil.rmtree(kept, ignore_errors=True)
    command = [*before, program or example(name), *TRAININGS[name], "--seed", "1", "--save", kept,
               *arguments]
    kwargs.setdefault("env", environment())
    output, status = run(command, **kwargs)
    if status != 0:
        raise RuntimeError(f"{name} ended with {status}: {output[-300:].strip()}")
    return hashlib.sha256((kept / "model.safetensors").read_bytes()).hexdigest()


def differs(first, *arguments, **kwargs):
    """Why a training that is run once more does not end in the model `first`; "" if it does."""
    try:
        return "" if model_of(*arguments, **kwargs) == first else "other bits"
    except (RuntimeError, OSError) as error:
        return str(error)


def second_build():
    """The same sources and flags, built once more elsewhere."""
    folder = ROOT / "build-twin"
    programs = [f"examples/{name}" for name in TRAININGS]
    cache = (BUILD / "CMakeCache.txt").read_text()
    options = re.findall(r"^((?:CMAKE_CXX_COMPILER_LAUNCHER|CMAKE_DISABLE_PRECOMPILE_HEADERS|"
                         r"RETRACE_[A-Z]+)):\w+=(.*)$", cache, re.MULTILINE)
    (folder / "CMakeCache.txt").unlink(missing_ok=True)
    output, status = run(["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja",
                          "-DCMAKE_BUILD_TYPE=Release", *(f"-D{key}={value}" for key, value in options)])
    if status == 0:
        output, status = run(["cmake", "--build", folder, "--target", *programs])
    if status != 0:
        raise RuntimeError(f"a second build fails: {output[-2000:]}")
    return folder


def same_seed_same_bits(quick):
    builds = [BUILD] if quick else [BUILD, second_build()]
    runs = 2 if quick else 5
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        for name in TRAININGS:
            programs = [build / "examples" / name for build in builds for _ in range(runs)]
            first = model_of(name, folder, program=programs.pop())
            tally.expect(True, name)  # the first is itself one of them
            for program in programs:
                why = differs(first, name, folder, program=program)
                tally.expect(not why, f"{program}: {why}")
    yield tally.figure("R20", f"{len(TRAININGS)} trainings, {runs} times each, {len(builds)} builds",
                       "model files have the same bits")


def run_with_threads(count):
    """As `run`, of a command that must have so many threads at some moment, and never more: its pool's
    sleep until it ends."""
    def run_watched(command, **kwargs):
        most = 0
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen([str(word) for word in command], stdout=output,
                                       stderr=subprocess.STDOUT, **kwargs)
            while process.poll() is None:
                most = max(most, len(os.listdir(f"/proc/{process.pid}/task")))
                time.sleep(0.002)
            output.seek(0)
            said = output.read()
        if process.returncode == 0 and most != count:
            raise RuntimeError(f"{most} threads, not {count}")
        return said, process.returncode
    return run_watched


def threads(quick):
    counts = (2, 4) if quick else (2, 3, 4, 8)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        for name in TRAININGS:
            more = LARGER.get(name, [])
            first = model_of(name, folder, arguments=[*more, "--threads", "1"], run=run_with_threads(1))
            for count in counts:
                ways = {"--threads": {"arguments": [*more, "--threads", str(count)]},
                        "OMP_NUM_THREADS": {"arguments": more,
                                            "env": environment(OMP_NUM_THREADS=count)}}
                for way in list(ways)[:1 if quick else None]:
                    why = differs(first, name, folder, run=run_with_threads(count), **ways[way])
                    tally.expect(not why, f"{name} with {way} {count}: {why}")
    yield tally.figure("R21", f"{', '.join(map(str, counts[:-1]))} and {counts[-1]} threads, each "
                       f"started, on {len(os.sched_getaffinity(0))} processors, against one",
                       "model files have the same bits")


def german(folder):
    """A locale with decimal commas, in its own folder: what a variable has to name."""
    _, status = run(["localedef", "-i", "de_DE", "-f", "UTF-8", folder / "de_DE.UTF-8"])
    if not (folder / "de_DE.UTF-8/LC_NUMERIC").exists():
        raise RuntimeError(f"localedef ended with {status}: no locale with decimal commas")
    return environment(LOCPATH=folder, LC_ALL="de_DE.UTF-8")


def surroundings(quick):
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        elsewhere = folder / "elsewhere with a space"
        elsewhere.mkdir()
        ways = {
            "a large environment": {"env": environment(PADDING="x" * 100_000)},
            "no environment": {"env": {}},
            "perturbed memory": {"env": environment(MALLOC_PERTURB_=85, MALLOC_ARENA_MAX=1)},
            "blocks by mmap": {"env": environment(MALLOC_MMAP_THRESHOLD_=4096, MALLOC_TOP_PAD_=0)},
            "another folder": {"cwd": elsewhere},
            "decimal commas": {"env": german(folder)},
            "the C locale": {"env": environment(LC_ALL="C", LANG=None)},
            "another time zone": {"env": environment(TZ="Asia/Kathmandu")},
            "no home": {"env": environment(HOME=None, TMPDIR="/nonexistent")},
            "a small stack": {"before": ["sh", "-c", "ulimit -s 256 && exec \"$@\"", "sh"]},
        }
        if run(["setarch", "-R", "true"])[1] == 0:  # containers may forbid it
            ways["addresses not random"] = {"before": ["setarch", "-R"]}
        tally = Tally()
        for name in list(TRAININGS)[:1 if quick else None]:
            first = model_of(name, folder)
            for way, setting in ways.items():
                why = differs(first, name, folder, **setting)
                tally.expect(not why, f"{name} with {way}: {why}")
        yield tally.figure("R22", ", ".join(ways), "model files have the same bits")


def sinks(tally, tool, trace, model):
    """Output that is closed, full, or read no further. Only what went out whole, or to a reader who
    had enough, is a success."""
    outputs = [["step", trace], ["step", trace, "--plain"], ["step", trace, "--script", "n"],
               ["diff", trace, trace], ["inspect", model], ["html", trace, "-o", "-"],
               ["atlas", "-o", "-"], ["catalogue", "--headers", ROOT]]
    for arguments in outputs:
        # `step` ends by itself when nobody reads any more, the others as SIGPIPE ends a program.
        unread = (0,) if arguments[0] == "step" else (0, 128 + signal.SIGPIPE)
        for line, right in (("\"$@\" >&-", range(1, 126)),
                            ("\"$@\" > /dev/full", range(1, 126)),
                            ("\"$@\" | head -c 100; exit ${PIPESTATUS[0]}", unread),
                            ("{ sleep 0.2; \"$@\"; } | :; exit ${PIPESTATUS[0]}", unread)):
            _, status = run(["bash", "-c", line, "bash", tool, *arguments])
            words = " ".join(pathlib.Path(word).name for word in arguments)
            tally.expect(status in right, f"{words} with {line}: {status}")


def stepping(quick):
    """A trace changes no result; who shows it survives what happens to its output."""
    tool = BUILD / "tools/retrace"
    tally = Tally()
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        trace, model = folder / "step.json", folder / "model/model.safetensors"
        for name in TRAININGS if not quick else ["mlp_classifier"]:
            trace.unlink(missing_ok=True)
            why = differs(model_of(name, folder), name, folder, arguments=["--trace", trace])
            tally.expect(not why and trace.exists(), f"{name} with --trace: {why or 'no trace'}")
        sinks(tally, tool, trace, model)
        for arguments in (["step", "--plain", trace], ["step", trace]):
            output, status = run([tool, *arguments], stdin=subprocess.DEVNULL)
            tally.expect(status == 0 and output, f"{arguments[:-1]} without a terminal: {status}")
        for size in (1, 5, 79):
            _, status = run(["script", "-qec", f"stty cols {size} rows {size} && TERM=xterm " +
                             shlex.join([str(tool), "step", str(trace)]), "/dev/null"],
                            input="nnnpppq", timeout=60)
            tally.expect(status == 0, f"a window of {size} by {size}: {status}")
        noise = folder / "noise"
        noise.write_bytes(random.Random(1).randbytes(5000))
        for command in (["step"], ["html", "-o", folder / "x.html"], ["diff", noise], ["inspect"]):
            output, status = run([tool, *command, noise])
            tally.expect(0 < status < 126 and output.count("\n") == 1 and str(noise) in output,
                         f"{command[0]} of noise: {status} {output[:80]}")
        moments, stopped, behind = range(0, 40, 8 if quick else 1), 0, 0
        for number in moments:
            status, kept, why = interrupted(folder, number)
            stopped += status == 130
            behind += status == 130 and kept > 0
            # Who has not begun to listen yet dies of it, like any program.
            tally.expect(status in (0, 130, -signal.SIGINT) and not why,
                         f"interrupt number {number}: {status}, {why}")
        tally.expect(behind >= len(moments) / 2,
                     f"only {behind} of {len(moments)} runs were stopped behind a checkpoint")
    yield tally.figure("R87", "traced and not; closed, full and no output, tiny windows, noise, Ctrl-C "
                       f"({stopped} of {len(moments)} runs stopped, {behind} of them behind a checkpoint)",
                       "as they should be")


def interrupted(folder, number):
    """Ctrl-C at some moment of a run that saves every step: how it ended, the step of its newest
    checkpoint (0 without one), and why it did not go on from there to the model of a run that was not
    stopped; "" if it did."""
    kept, whole = folder / f"interrupted{number}", folder / "whole"
    command = [str(example("mlp_classifier")), "--steps", "300", "--seed", "1", "--save-every", "1"]
    if not whole.exists():
        output, status = run([*command, "--save", whole], env=environment())
        if status != 0:
            raise RuntimeError(f"{command[0]} ended with {status}: {output[-300:].strip()}")
    process = subprocess.Popen([*command, "--resume", kept], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=environment())
    time.sleep(0.02 + 0.011 * number)
    process.send_signal(signal.SIGINT)
    ended = process.wait(timeout=60)
    step = max((int(path.stem.split("-")[1]) for path in kept.glob("checkpoint-*.safetensors")),
               default=0)
    output, status = run([*command, "--resume", kept], env=environment())
    model, other = kept / "model.safetensors", whole / "model.safetensors"
    if status != 0:
        return ended, step, f"resumed, it ended with {status}"
    # One that was stopped before it began has nothing to go on from, and begins; one that begins anew
    # ends in the same bits.
    if step > 0 and f"going on after step {step} of 300\n" not in output:
        return ended, step, f"it did not go on after step {step}"
    return ended, step, "" if model.read_bytes() == other.read_bytes() else "other bits"


# What programs read of the system: libraries, and what tells of the machine and of themselves. What
# lays graphs out looks for its plug-ins, and one of its libraries for SELinux.
SYSTEM = re.compile(
    r"(/usr)?/lib(64)?/(.*/)?[\w.+-]+\.so(\.\d+)*|/usr/lib/[\w-]+/graphviz(/config\w+)?|"
    r"/etc/(ld\.so\.(preload|cache)|localtime|selinux/config)|/usr/share/zoneinfo/.*|"
    r"(/sys/fs)?/selinux|/sys/devices/system/cpu/(online|possible)|"
    r"/proc(/filesystems|/self(/(exe|maps|auxv|fd(/\d+)?))?)?|/dev/(null|tty|urandom)")
READING = ("access faccessat faccessat2 stat lstat newfstatat statx readlink readlinkat statfs "
           "getcwd execve").split()
CALL = re.compile(r"(\d+) +(\w+)\((.*)")
# Behind the folder that a relative path begins at, which `strace -y` shows.
PATH = re.compile(r'(?:\w+<([^>]*)>, )?"((?:\\.|[^"\\])*)"')


def reads_only(name, arguments):
    if name in ("open", "openat"):
        return "O_RDONLY" in arguments and not re.search("O_CREAT|O_TRUNC", arguments)
    return name in READING


def touched(command, folder):
    """What a program names to the system while it runs in `folder`: (the call, whether it is only
    read, its path), and a path of "" for each call of the network."""
    log = folder.with_name("log")
    output, status = run(["strace", "-f", "-y", "--seccomp-bpf", "-qq", "-e", "trace=%file,%network",
                          "-o", log, *command], env=environment(), cwd=folder)
    if status != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {status}: {output[-200:]}")
    for line in log.read_text(errors="replace").splitlines():
        if not (call := CALL.match(line)):
            continue
        process, name, arguments = call.groups()
        found = PATH.findall(arguments)
        if not found:  # all other calls have a path
            yield name, False, ""
        for base, path in found[:2 if re.match("rename|link|symlink", name) else 1]:
            if path:  # else what was opened is asked about
                path = os.path.normpath(os.path.join(base or folder, path))
                yield (name, reads_only(name, arguments),
                       re.sub(rf"^/proc/{process}\b", "/proc/self", path))


def data_files(folder):
    """Tables, plain and compressed, images, a text and conversations."""
    rows = "".join(f"{i * 37 % 101},{i * 53 % 89},{'ab'[i % 2]}\n" for i in range(60))
    for name in ("table.csv", "test.csv"):
        (folder / name).write_text("x,y,kind\n" + rows)
    (folder / "table.csv.gz").write_bytes(gzip.compress((folder / "table.csv").read_bytes()))
    (folder / "images").mkdir()
    pixels = random.Random(1).randbytes(40 * 8 * 8)
    for part in ("train", "t10k"):
        (folder / f"images/{part}-images-idx3-ubyte").write_bytes(
            bytes.fromhex("00000803 00000028 00000008 00000008") + pixels)
        (folder / f"images/{part}-labels-idx1-ubyte").write_bytes(
            bytes.fromhex("00000801 00000028") + bytes(range(4)) * 10)
    (folder / "text.txt").write_text("the dog sees the cat that sees the dog\n" * 40)
    (folder / "talk.jsonl").write_text("".join(
        json.dumps({"prompt": f"say {word}", "completion": word}) + "\n" for word in ("the", "cat") * 20))


def data_to_watch(given, inputs):
    """Commands that learn from files, and go on with what they kept."""
    few, seed = ["--steps", "2"], ["--seed", "1", "--threads", "1"]
    classifier, writer = [example("mlp_classifier"), *seed], [example("tiny_lm"), *seed]
    target = ["--target", "kind"]
    yield [*classifier, *few, "--data", inputs / "table.csv", "--test", inputs / "test.csv", *target,
           "--save", given / "table"]
    yield [*classifier[:1], "--load", given / "table", "--predict", inputs / "test.csv",
           "--out", given / "predicted.csv"]
    yield [*classifier, *few, "--data", inputs / "table.csv.gz", *target, "--save", given / "gz"]
    yield [*classifier, *few, "--data", inputs / "images", "--save", given / "images"]
    yield [*writer, *few, "--data", inputs / "text.txt", "--tokenizer", "bpe", "--generate", "3",
           "--save", given / "text"]
    yield [*writer, "--load", given / "text", "--prompt", "the", "--generate", "3",
           "--export", given / "gpt2"]
    yield [example("sft"), *seed, *few, "--base", given / "gpt2", "--data", inputs / "talk.jsonl",
           "--generate", "3", "--save", given / "talk"]


def programs_to_watch(names, given):
    """Commands that write into and read from one folder."""
    for name in names:
        start = [example(name), "--seed", "1", "--threads", "1"]
        keeps = name not in ("wengert_list", "xor")
        yield [*start, "--steps", "2", "--report", given / f"{name}.html",
               "--trace", given / f"{name}.trace", *(["--save", given / name] if keeps else [])]
        if keeps:
            yield [*start, "--steps", "3", "--csv", given / f"{name}.csv", "--resume", given / name]
    trace, model = given / "mlp_classifier.trace", given / "mlp_classifier/model.safetensors"
    for arguments in (["step", trace], ["diff", trace, trace], ["inspect", model],
                      ["html", trace, "-o", given / "page.html"], ["atlas", "-o", given / "atlas.html"]):
        yield [BUILD / "tools/retrace", *arguments]


def reach(quick):
    if run(["strace", "-qq", "-o", "/dev/null", "true"])[1] != 0:
        raise NotHere("this system lets no program be traced")
    names = ["mlp_classifier", "xor"] if quick else sorted(
        path.stem for path in (ROOT / "examples").glob("*.cpp"))
    runs, named, foreign, network = 0, set(), set(), 0
    with tempfile.TemporaryDirectory() as folder:
        given, inputs, elsewhere = (pathlib.Path(folder) / name
                                    for name in ("given", "inputs", "elsewhere"))
        for place in (given, inputs, elsewhere):
            place.mkdir()
        data_files(inputs)
        for command in (*programs_to_watch(names, given), *data_to_watch(given, inputs)):
            program = pathlib.Path(command[0])
            data = [word for word in command if isinstance(word, pathlib.Path) and
                    word.is_relative_to(inputs)]
            # Who asks what a path is made of asks about each of its folders.
            known = {str(path) for place in (program, program.resolve(), given, elsewhere, *data)
                     for path in (place, *place.parents)}
            runs += 1
            unread = {str(path) for word in data
                      for path in (word.glob("*") if word.is_dir() else [word])}
            for name, is_read, path in touched(command, elsewhere):
                if not path:
                    network += 1
                    continue
                if name.startswith("open"):
                    unread.discard(path)
                named.add(what := f"{program.name} {'reads' if is_read else 'changes'} {path}")
                if not (pathlib.Path(path).is_relative_to(given) or
                        is_read and (path in known or SYSTEM.fullmatch(path) or
                                     any(pathlib.Path(path).is_relative_to(word) for word in data))):
                    foreign.add(what)
            if unread:
                raise RuntimeError(f"{program.name} has not read {', '.join(unread)}")
    yield Figure("R88", f"{len(names)} examples, with data files too, and what reads their files, "
                 f"{runs} runs under strace",
                 f"{of(len(foreign), len(named), 'paths are neither given nor read of the system')}, "
                 f"{network} calls of the network" + "".join(f"; {what}" for what in sorted(foreign)[:10]),
                 len(named) > 10 * runs and not foreign and network == 0)
