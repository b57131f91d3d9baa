"""Small faults, one at a time, put into a copy of the library: do the tests see them?

A mutant is a source with one operator, constant, condition, statement or pair of arguments changed.
Which ones are tried follows from the seed: the commit, so that another commit draws others. What is in
tests/promises/mutants.tsv is not drawn again; what was judged last counts beside the new ones.
"""

import argparse
import collections
import contextlib
import dataclasses
import datetime
import hashlib
import itertools
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build-mutants"
COPY = FOLDER / "source"
BUILD = FOLDER / "build"
RESULTS = ROOT / "tests/promises/mutants.tsv"
EXPLAINED = ROOT / "tests/promises/survivors.tsv"

# What computes, what goes backward, what trains, what reads.
SOURCES = (
    "tensor/*.cpp tensor/kernels/*.cpp autograd/*.cpp autograd/ops/*.cpp losses/*.cpp optim/*.cpp "
    "nn/*.cpp data/*.cpp data/tasks/*.cpp trace/parse.cpp trace/json.cpp").split()
# The tests that run for a mutant of a folder, each without its slow files. The rest does without the
# folder, or trains for long; a fault that only it would see counts as one that is not seen.
TESTS = {"tensor": "tensor goldens losses optim nn data catalogue reliability trace autograd faults",
         "autograd": "goldens autograd catalogue nn losses optim trace reliability tensor",
         "losses": "goldens losses catalogue nn trace reliability autograd",
         "optim": "goldens optim nn trace reliability",
         "nn": "goldens nn catalogue optim trace reliability",
         "data": "data reliability faults",
         "trace": "trace reliability"}
ALL = TESTS["tensor"].split()
# Slow tests, and those of what lines a call came from and of programs: mutants are built without
# debug information and examples.
FILES_LEFT_OUT = "*_slow_test.cpp,*/call_site_test.cpp"
LEFT_OUT = ("*where they were called,*its inputs and the line,*module and line*,"
            "*faults that make NaN*,*in a small address space*")
# The longest tests of the tensors' kernels, in which nothing of another folder runs.
OF_KERNELS = ",*gemm*,*functions keep their error bound*,*what is JSON*"
UNSEEN = {"autograd/call_site.cpp", "autograd/trap.cpp"}

SWAPS = [(" + ", " - "), (" - ", " + "), (" * ", " / "), (" / ", " * "), (" < ", " <= "),
         (" <= ", " < "), (" > ", " >= "), (" >= ", " > "), (" == ", " != "), (" != ", " == "),
         (" && ", " || "), (" || ", " && "), (" += ", " -= "), (" -= ", " += "), (" *= ", " /= "),
         ("true", "false"), ("false", "true"), ("++", "--")]
NUMBER = re.compile(r"(?<![\w.\"'])(\d+(?:\.\d+)?)(?![\w.'])")
CONDITION = re.compile(r"\b(if|while) \((?!const |auto )(.+)\)( \{| [a-z].*;)?$")
STATEMENT = re.compile(r"^\s*(?!return|break|continue|using|case|const |auto |static |throw|fail|else)"
                       r"[\w.:\->\[\]()]+(\(.*\)| [-+*]?= .*);$")
ARGUMENTS = re.compile(r"(?<=[\w>]\()([\w.]+), ([\w.]+)(?=[,)])")
SKIPPED = re.compile(r"^\s*(#|//|namespace|static_assert|template|using|case|enum|class|struct|\})")


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str
    line: int  # from 1
    rule: str
    text: str  # of the whole line
    left_out: str = ""  # what stood there, if nothing does now

    def name(self):
        words = f"{self.path}:{self.text}:{self.rule}{self.left_out}"
        return hashlib.sha1(words.encode()).hexdigest()[:10]


def masked(line):
    """The line with texts and comments blanked, as long as before."""
    blank = lambda match: " " * len(match.group())
    return re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])+\'|//.*', blank, line)


def mutants_of_line(path, number, line):
    code = masked(line).rstrip()
    if not code or SKIPPED.match(code):
        return
    make = lambda rule, text: Mutant(path, number, rule, text)
    for old, new in SWAPS:
        start = code.find(old)
        while start >= 0:
            word = old.isalpha() and (code[start - 1:start] + code[start + len(old):][:1])
            if not (word and re.search(r"\w", word)):
                yield make(f"{old.strip()} becomes {new.strip()} at {start}",
                           line[:start] + new + line[start + len(old):])
            start = code.find(old, start + 1)
    for match in NUMBER.finditer(code):
        number_text = match.group(1)
        other = (str(int(number_text) + 1) if number_text.isdigit()
                 else str(float(number_text) * 2 or 1.0))
        yield make(f"{number_text} becomes {other} at {match.start()}",
                   line[:match.start()] + other + line[match.end():])
    if match := CONDITION.search(code):
        start, end = match.span(2)
        yield make("condition turned", line[:start] + f"!({line[start:end]})" + line[end:])
    if STATEMENT.match(code) and code.count("(") == code.count(")"):
        yield Mutant(path, number, "statement left out", re.match(r"\s*", line).group() + ";",
                     left_out=line.strip())
    for match in ARGUMENTS.finditer(code):
        if match.group(1) != match.group(2):
            a, b = match.group(1), match.group(2)
            yield make(f"{a} and {b} exchanged", line[:match.start()] + f"{b}, {a}" + line[match.end():])


def all_mutants():
    found = []
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            relative = str(path.relative_to(ROOT))
            if relative in UNSEEN:
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found += mutants_of_line(relative, number, line)
    return found


def run(command, seconds=None, **kwargs):
    def limits():
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        os.setpgid(0, 0)

    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace",
                               preexec_fn=limits, **kwargs)
    try:
        return process.communicate(timeout=seconds)[0], process.returncode
    except BaseException as reason:  # its group has no terminal whose Ctrl-C it could hear
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(reason, subprocess.TimeoutExpired):
            return "", None
        raise


def test_command(name, room="tensor", files="*"):
    """Its tests, those in some files alone."""
    if name == "goldens":
        return [BUILD / "tests/goldens", COPY / "tests/goldens", "--dtype", "f64"]
    return [BUILD / f"tests/{name}_tests", f"--source-file=*/{files}_test.cpp",
            f"--source-file-exclude={FILES_LEFT_OUT}", "--abort-after=1",
            f"--test-case-exclude={LEFT_OUT}{'' if room == 'tensor' else OF_KERNELS}"]


def quick_tests(room, stem):
    """Those of a room that are called like a source: a program that finds none to run fails."""
    return [path for path in (COPY / "tests" / room).rglob(f"*{stem}*_test.cpp")
            if not path.stem.endswith("_slow_test")]


def prepare():
    """A copy of the tree, with the library shared: a mutant then is one file compiled and a link."""
    FOLDER.mkdir(exist_ok=True)
    files = subprocess.check_output(["git", "-C", ROOT, "ls-files", "-z", "-co", "--exclude-standard"])
    kept = set()
    for name in files.decode().split("\0"):
        source, target = ROOT / name, COPY / name
        if not name or not source.is_file():
            continue
        kept.add(target)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
            os.utime(target)
    for path in COPY.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()
    options = ["-DBUILD_SHARED_LIBS=ON", "-DCMAKE_LINK_DEPENDS_NO_SHARED=ON",
               "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g0",
               "-DRETRACE_BUILD_EXAMPLES=OFF", "-DRETRACE_BUILD_TOOLS=OFF",
               "-DRETRACE_BUILD_BENCH=OFF", "-DRETRACE_WERROR=OFF",
               "-DCMAKE_SHARED_LINKER_FLAGS=-fuse-ld=gold"]
    targets = [f"tests/{'goldens' if name == 'goldens' else name + '_tests'}" for name in ALL]
    (BUILD / "CMakeCache.txt").unlink(missing_ok=True)  # options of before; objects stay
    for command in (["cmake", "-S", COPY, "-B", BUILD, "-G", "Ninja", *options],
                    ["cmake", "--build", BUILD, "--target", *targets]):
        output, status = run(command)
        if status != 0:
            raise RuntimeError(f"{output[-4000:]}\nmutants: the tree as it is does not build")
    seconds = {}
    for name in ALL:
        start = time.monotonic()
        output, status = run(test_command(name), cwd=FOLDER)
        if status != 0:
            raise RuntimeError(f"{output[-4000:]}\nmutants: {name} fails without a mutant")
        seconds[name] = time.monotonic() - start
    print("seconds without a mutant: " + ", ".join(f"{name} {s:.1f}" for name, s in seconds.items()),
          file=sys.stderr, flush=True)
    return seconds


def compiles():
    """Whether the library can be built with a mutant. Only an error in a source says that it cannot, and
    in English: a compiler may also be killed, or find no memory."""
    for _ in range(2):
        output, status = run(["cmake", "--build", BUILD, "--target", "retrace"],
                             env=os.environ | {"LC_ALL": "C"})
        if status == 0 or re.search(r"(?m)^\S+:\d+:\d+: (fatal )?error: ", output):
            return status == 0
    raise RuntimeError(f"{output[-4000:]}\nmutants: the compiler does not come to an end")


def sees(command, seconds):
    """How tests end that see a mutant: "failed" or "no end"; or "". On a busy machine one that takes
    too long, or that is killed, gets a second chance."""
    for _ in range(2):
        status = run(command, seconds, cwd=FOLDER, env=os.environ | {"OMP_NUM_THREADS": "2"})[1]
        if status not in (None, -signal.SIGKILL):
            return "failed" if status != 0 else ""
    return "no end"


def outcome(mutant, seconds):
    """Which test kills it, "survived", or None where it does not compile. A test that fails now and
    then kills nothing: it must fail twice, and pass without the mutant."""
    path = COPY / mutant.path
    original = path.read_text()
    lines = original.splitlines(keepends=True)
    lines[mutant.line - 1] = mutant.text + "\n"

    def builds(text):
        path.write_text(text)
        return compiles()

    try:
        if not builds("".join(lines)):
            return None
        room, stem = mutant.path.split("/")[0], pathlib.Path(mutant.path).stem
        # What is called like the source is the likeliest to see it.
        alike = [(room, f"*{stem}*")] if quick_tests(room, stem) else []
        for name, files in [*alike, *((name, "*") for name in TESTS[room].split())]:
            trial = test_command(name, room, files), 15 + 2 * seconds[name]
            if not (sees(*trial) and (seen := sees(*trial))):
                continue
            builds(original)
            if not sees(*trial):
                return name if seen == "failed" else f"{name} ({seen})"
            print(f"{name} fails without {mutant.name()}, too", file=sys.stderr, flush=True)
            builds("".join(lines))
        return "survived"
    finally:
        if path.read_text() != original:
            path.write_text(original)


def known_results():
    """What became of each mutant when it was last judged, the latest at the end."""
    results = {}
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else ():
        name, result = line.split("\t")[:2]
        results.pop(name, None)
        results[name] = result
    return results


def commit():
    return subprocess.check_output(["git", "-C", ROOT, "rev-parse", "HEAD"], text=True).strip()


def chosen(seed):
    """Every mutant there can be, in the order in which they are tried: half by chance and half so that
    each file has its turn. A mutant's place follows from its own name and the seed, so that a change
    elsewhere leaves it where it is."""
    place = lambda mutant: hashlib.sha1(f"{seed}:{mutant.name()}".encode()).digest()
    mutants = sorted({mutant.name(): mutant for mutant in all_mutants()}.values(), key=place)
    turn = collections.Counter()
    order = {}
    for mutant in mutants:
        turn[mutant.path] += 1
        order[mutant] = turn[mutant.path]
    by_file = sorted(mutants, key=order.get)
    return list(dict.fromkeys(mutant for pair in zip(mutants, by_file) for mutant in pair))


def judge(mutants):
    """Tries them: each that compiles and what became of it."""
    seconds = prepare()
    for mutant in mutants:
        result = outcome(mutant, seconds) or "no program"
        with RESULTS.open("a") as results:
            print(mutant.name(), result, datetime.date.today(), f"{mutant.path}:{mutant.line}",
                  mutant.rule, mutant.left_out or mutant.text.strip(), sep="\t", file=results)
        if result != "no program":
            yield mutant, result


def measure(count, new, seed, progress=lambda line: None):
    """What became of `count` mutants that compile: (of those that were never judged before, `new` of
    them or as many as are missing; of those judged last; the number that could be made)."""
    order = chosen(seed)
    known = known_results()
    by_name = {mutant.name(): mutant for mutant in order}
    before = [(by_name[name], result) for name, result in reversed(known.items())
              if name in by_name and result != "no program"]
    new = max(new, count - len(before))
    now = []
    never = (mutant for mutant in order if mutant.name() not in known)
    for mutant, result in itertools.islice(judge(never), new) if new else ():
        now.append((mutant, result))
        progress(f"{len(now)} of {new}: {mutant.path}:{mutant.line} {mutant.rule}: {result}")
    return now, before[:max(0, count - len(now))], len(order)


def try_survivors_again():
    known = known_results()
    for mutant, result in judge([mutant for mutant in chosen("")
                                 if known.get(mutant.name()) == "survived"]):
        print(f"{mutant.path}:{mutant.line} {mutant.rule}: {result}", flush=True)


def explanations():
    """Why a survivor changes nothing that a test could see, by its name."""
    if not EXPLAINED.exists():
        return {}
    return dict(line.split("\t", 1) for line in EXPLAINED.read_text().splitlines() if line)


def explained_in_vain():
    """Names with a reason why they survive, of mutants that did not."""
    known = known_results()
    return [name for name in explanations() if known.get(name) != "survived"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=500, help="mutants that compile (500)")
    parser.add_argument("--new", type=int, default=20, help="how many of them are new (20)")
    parser.add_argument("--again", action="store_true", help="try those that survived once more")
    parser.add_argument("--seed", help="by which the new ones are drawn (the commit)")
    arguments = parser.parse_args()
    if arguments.again:
        try_survivors_again()
    now, before, possible = measure(arguments.count, arguments.new, arguments.seed or commit(),
                                    lambda line: print(line, flush=True))
    reasons = explanations()
    survivors = [mutant for mutant, result in now + before if result == "survived"]
    for mutant in survivors:
        print(f"{mutant.path}:{mutant.line}: {mutant.rule}: {mutant.text.strip()}\n"
              f"    {mutant.name()}: {reasons.get(mutant.name(), 'not explained')}")
    for name in explained_in_vain():
        print(f"error: explained, but not among the survivors: {name}")
    total = len(now + before)
    killed = total - len(survivors)
    print(f"{killed} of {total} killed ({100 * killed / max(total, 1):.1f} %), of {possible} possible")


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(str(error))
