"""Trainings that must end in the same bits, whatever is around them; and what they reach for."""

import hashlib
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

from figures import BUILD, ROOT, Figure, NotHere, environment, example, of, run

TRAININGS = {"mlp_classifier": ["--steps", "40"], "tiny_lm": ["--steps", "3"],
             "embeddings": ["--steps", "20"]}


def model_of(name, folder, *, program=None, arguments=(), before=(), **kwargs):
    """A digest of the file that a training with seed 1 ends in."""
    kept = pathlib.Path(folder) / "model"
    shutil.rmtree(kept, ignore_errors=True)
    command = [*before, program or example(name), *TRAININGS[name], "--seed", "1", "--save", kept,
               *arguments]
    kwargs.setdefault("env", environment())
    output, status = run(command, **kwargs)
    if status != 0:
        return f"{name} ended with {status}: {output[-200:]}"
    return hashlib.sha256((kept / "model.safetensors").read_bytes()).hexdigest()


def second_build():
    """The same sources and flags, built once more elsewhere."""
    folder = ROOT / "build-twin"
    programs = [f"examples/{name}" for name in TRAININGS]
    cache = (BUILD / "CMakeCache.txt").read_text()
    options = re.findall(r"^((?:CMAKE_CXX_COMPILER_LAUNCHER|CMAKE_DISABLE_PRECOMPILE_HEADERS|"
                         r"RETRACE_[A-Z]+)):\w+=(.*)$", cache, re.MULTILINE)
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
    same = total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in TRAININGS:
            digests = [model_of(name, folder, program=build / "examples" / name)
                       for build in builds for _ in range(runs)]
            same += sum(digest == digests[0] for digest in digests)
            total += len(digests)
    yield Figure("R20", f"{len(TRAININGS)} trainings, {runs} times each, {len(builds)} builds",
                 of(same, total, "model files have the same bits"), same == total)


def threads(quick):
    same = total = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in TRAININGS:
            first = model_of(name, folder, arguments=["--threads", "1"])
            for count in (2, 4) if quick else (2, 3, 4, 8):
                for way in ([{"arguments": ["--threads", str(count)]}] if quick else
                            [{"arguments": ["--threads", str(count)]},
                             {"env": environment(OMP_NUM_THREADS=count)}]):
                    total += 1
                    same += model_of(name, folder, **way) == first
    yield Figure("R21", "2, 3, 4 and 8 threads on two processors, against one",
                 of(same, total, "model files have the same bits"), same == total)


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
            "a small stack": {"before": ["sh", "-c", "ulimit -s 256; exec \"$@\"", "sh"]},
        }
        if run(["setarch", "-R", "true"])[1] == 0:  # containers may forbid it
            ways["addresses not random"] = {"before": ["setarch", "-R"]}
        same, total, others = 0, 0, []
        for name in list(TRAININGS)[:1 if quick else None]:
            first = model_of(name, folder)
            for way, setting in ways.items():
                total += 1
                result = model_of(name, folder, **setting)
                if result == first:
                    same += 1
                else:
                    others.append(f"{name} with {way}: {result[:120]}")
        yield Figure("R22", ", ".join(ways),
                     of(same, total, "model files have the same bits") +
                     "".join("; not " + other for other in others), same == total)


def stepping(quick):
    """A trace changes no result; who shows it survives what happens to its output."""
    tool = BUILD / "tools/retrace"
    good, total, wrong = 0, 0, []

    def expect(holds, what):
        nonlocal good, total
        total += 1
        good += bool(holds)
        if not holds:
            wrong.append(what)

    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        trace = folder / "step.json"
        for name in TRAININGS if not quick else ["mlp_classifier"]:
            plain = model_of(name, folder)
            expect(model_of(name, folder, arguments=["--trace", trace]) == plain,
                   f"{name} with --trace ends elsewhere")
        for arguments in (["step", "--plain", trace], ["step", trace]):
            for sink in ("| head -c 100", ">&-", "> /dev/full"):
                output, status = run(["bash", "-c", f"\"$@\" {sink}", "bash", tool, *arguments])
                expect(0 <= status < 126, f"{arguments[:-1]} {sink} ends with {status}")
            output, status = run([tool, *arguments], stdin=subprocess.DEVNULL)
            expect(status == 0 and output, f"{arguments[:-1]} without a terminal: {status}")
        for size in (1, 5, 79):
            output, status = run(["script", "-qec", f"stty cols {size} rows {size}; TERM=xterm "
                                  f"{tool} step {trace}", "/dev/null"], input="nnnpppq", timeout=60)
            expect(status in (0, 1, 2), f"a window of {size} by {size}: {status}")
        noise = folder / "noise"
        noise.write_bytes(random.Random(1).randbytes(5000))
        for command in ("step", "html", "diff"):
            more = [noise] if command == "diff" else ["-o", folder / "x.html"] if command == "html" else []
            output, status = run([tool, command, noise, *more])
            expect(0 < status < 126 and output.count("\n") <= 3 and str(noise) in output,
                   f"{command} of noise: {status} {output[:80]}")
        moments, stopped = (5 if quick else 40), 0
        for number in range(moments):
            status, same = interrupted(folder, number)
            stopped += status == 130
            expect(status in (0, 130) and same, f"interrupt number {number}: {status}")
        expect(stopped >= moments / 2, f"only {stopped} of {moments} runs were stopped")
    yield Figure("R87", "traced and not; closed, full and no output, tiny windows, noise, Ctrl-C",
                 of(good, total, "as they should be") + "".join("; not: " + what for what in wrong),
                 good == total)


def interrupted(folder, number):
    """Ctrl-C at some moment of a run that saves every step: how it ended, and whether it went on from
    its newest checkpoint to the model of a run that was not stopped."""
    kept, whole = folder / f"interrupted{number}", folder / "whole"
    command = [str(example("mlp_classifier")), "--steps", "300", "--seed", "1", "--save-every", "1"]
    if not whole.exists():
        run([*command, "--save", whole], env=environment())
    process = subprocess.Popen([*command, "--resume", kept], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=environment())
    time.sleep(0.02 + 0.011 * number)
    process.send_signal(signal.SIGINT)
    ended = process.wait(timeout=60)
    # One that was stopped before it began has nothing to go on from, and begins.
    run([*command, "--resume", kept], env=environment())
    model, other = kept / "model.safetensors", whole / "model.safetensors"
    return ended, model.exists() and model.read_bytes() == other.read_bytes()


# What a program of C++ opens before main, and what tells it of the machine.
SYSTEM = re.compile(r"/lib|/usr/lib|/etc/ld\.so|/etc/localtime$|/usr/share/zoneinfo/|/proc/|/sys/|"
                    r"/dev/(null|tty|urandom)$")
CALL = re.compile(r"^\d+\s+(\w+)\((.*)")
PATH = re.compile(r'"((?:\\.|[^"\\])*)"')


def reach(quick):
    if run(["strace", "-qq", "-o", "/dev/null", "true"])[1] != 0:
        raise NotHere("this system lets no program be traced")
    names = ["mlp_classifier", "xor"] if quick else sorted(
        path.stem for path in (ROOT / "examples").glob("*.cpp"))
    paths, foreign, network = 0, set(), 0
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        given = {str(parent) for parent in folder.parents} | {str(BUILD / "examples")}
        for name in names:
            log = folder / "log"
            keeps = name not in ("wengert_list", "xor")
            arguments = ["--save", folder / name] if keeps else []
            output, status = run(["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=%file,%network",
                                  "-o", log, example(name), "--steps", "2", "--seed", "1",
                                  "--threads", "1", *arguments],
                                 env=environment(), cwd=folder)
            if status != 0:
                foreign.add(f"{name} ended with {status}: {output[-100:]}")
            for line in log.read_text(errors="replace").splitlines():
                call = CALL.match(line)
                if not call:
                    continue
                found = PATH.findall(call.group(2))
                if not found:  # the rest of %file has one; sockets have an address
                    network += 1
                for path in found[:2 if call.group(1).startswith(("rename", "link")) else 1]:
                    paths += 1
                    allowed = (path in given or path.startswith((str(folder), f"{example(name)}")) or
                               not path.startswith("/") or SYSTEM.match(path))
                    if not allowed:
                        foreign.add(f"{name}: {line.split(maxsplit=1)[1][:100]}")
    yield Figure("R88", f"{len(names)} examples under strace",
                 f"{of(len(foreign), paths, 'paths are neither given nor of the system')}, "
                 f"{network} calls of the network" + "".join(f"; {line}" for line in sorted(foreign)[:10]),
                 paths > 100 and not foreign and network == 0)
