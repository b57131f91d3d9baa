"""./reliability: what Retrace promises, what was counted, whether it holds."""

import argparse
import collections
import datetime
import os
import pathlib
import re
import sys
import tempfile
import textwrap
import time
import traceback

import builds
import circumstances
import fuzzing
import mutants
from figures import BUILD, ROOT, Figure, NotHere, environment, failed_tests, run

PAGE = ROOT / "docs/reliability.md"

PROMISES = {
    "R10": "graphs of a million nodes run and are freed on small stacks",
    "R11": "training leaks nothing",
    "R12": "refused calls and exceptions leak nothing",
    "R13": "a graph is freed when backward is done, or when it is dropped",
    "R14": "a step takes the memory that parameters, gradients, moments and activations need",
    "R20": "the same seed gives the same bits",
    "R21": "any number of threads gives the same bits",
    "R22": "addresses, environment, locale, allocator and folder change no bit",
    "R23": "a run killed at any moment and resumed ends in the same bits",
    "R30": "a save that is killed leaves the old or the new file whole",
    "R31": "so does a power failure",
    "R32": "a save whose system calls fail says which and why, and keeps the old file",
    "R33": "a full disk, folders, links, pipes, devices: a line with the reason, and no hang",
    "R34": "damage to a file is found and named",
    "R35": "files of the reference library are read, to the last bit",
    "R36": "reading takes memory in proportion to the file",
    "R40": "no bytes break the safetensors reader",
    "R41": "nor those of JSON",
    "R42": "nor those of tables, images, texts, tokenizers, models, traces, command lines",
    "R43": "no program of tensor calls breaks them",
    "R44": "what ever broke something is run among the tests",
    "R50": "wrong calls are refused, change nothing, and the next call works",
    "R51": "messages name the op, the shapes and what to do",
    "R52": "what throws has changed nothing, out of memory or not",
    "R53": "objects may be destroyed in any order",
    "R54": "threads may train and infer side by side",
    "R60": "the first value that is not finite is found where it was made",
    "R61": "sizes near the limits of integers are handled or refused",
    "R70": "requests that no memory holds are refused with their shape",
    "R71": "any single request for memory may fail",
    "R72": "a small address space is an error, not a crash",
    "R80": "the tests are clean under sanitizers and valgrind",
    "R81": "the tests run the code",
    "R82": "the tests see small faults in the code",
    "R83": "compilers and checkers find nothing",
    "R84": "the tests pass in a hardened build",
    "R85": "the tests pass in any order, and alone",
    "R87": "stepping changes nothing and survives its surroundings",
    "R88": "programs touch only what they are given",
}


# The figures that tests print of a row, by words of theirs, where it needs more than one.
NEEDED = {
    "R10": ["a chain of", "uses of one tensor", "a diamond of"],
    "R11": ["resident memory", "the heap from"],
    "R12": ["each bad call", "exceptions inside hooks"],
    "R13": ["after backward", "without backward"],
    "R33": ["places that cannot be read or written", "tmpfs of 1 MiB"],
    "R35": ["safetensors of other programs", "the reference library's own"],
    "R36": ["safetensors and npy", "narrow numbers", "tables, images and texts", "JSON lines"],
    "R42": [f"{target}, its seeds" for target in fuzzing.GOALS["R42"]],
    "R50": ["C24", "rows of the list"],
    "R52": ["step and loading", "state is loaded", "module is changed", "change in place"],
    "R53": ["in every order", "moved-from and undefined"],
    "R54": ["train models of their own", "one model under NoGradGuard"],
    "R60": ["injected NaN", "of the catalogue", "what checks add"],
    "R61": ["a dim of 2^40", "a dim of 2^63 - 1", "views, joins"],
    "R71": ["of a new process fails", "of a new process on", "each request fails once",
            "from each request for memory on"],
}


def may_mount():
    """Whether a test may have a small disk of its own, as containers may not."""
    with tempfile.TemporaryDirectory() as folder:
        return run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", folder])[1] == 0


def missing(figures, quick):
    """What a row needs and no test printed."""
    for row, needed in NEEDED.items():
        said = [figure.what for figure in figures if figure.row == row]
        for words in needed:
            if any(words in what for what in said):
                continue
            if words == "tmpfs of 1 MiB" and quick and not may_mount():
                print(f"{row}: this system lets nobody mount a tmpfs", file=sys.stderr)
            else:
                yield Figure(row, f"{words} ...", f"missing, of {len(needed)} figures", False)


def rows_of_tests():
    """Which rows need which tests, by their folder or slow file: those that print their figures, and
    for R50 those that hold a row of the list of wrong calls; and which of them are slow."""
    rows, slow = collections.defaultdict(set), set()
    for source in (ROOT / "tests").rglob("*.cpp"):
        text = source.read_text()
        if not re.search(r"\bfigure\(\s*\"R\d\d\"|figure\(row_of", text):
            continue
        folder = source.relative_to(ROOT / "tests").parts[0]
        if source.stem.endswith("_slow_test"):
            folder = f"{folder}_{source.stem.removesuffix('_test')}"
            slow.add(folder)
        rows[folder] |= set(re.findall(r'"(R\d\d)"', text))
    for source in (ROOT / "tests").glob("*/*_test.cpp"):
        text = source.read_text()
        holders = set(re.findall(r'\{"[BCV]\d+", "(\w+)/', text))  # kElsewhere
        if re.search(r'TEST_CASE\(\s*"[BCV]\d+', text):
            holders.add(source.parent.name)
        for folder in holders:
            rows[folder].add("R50")
    return rows, slow


def tests_that_fail(quick, wanted, path):
    """Runs the tests that print figures of the rows, into a file; the names of those that fail."""
    path.unlink(missing_ok=True)
    rows, slow = rows_of_tests()
    names = {name for name in rows if rows[name] & wanted}
    for some, chosen in (
            (names - slow, ["-R", f"^({'|'.join(sorted(names - slow))})(_|$)", "-LE", "slow|extra"]),
            (names & slow, ["-R", f"^({'|'.join(sorted(names & slow))})$"])):
        if not some:
            continue
        output, status = run(["ctest", "--test-dir", BUILD, "--output-on-failure", "--no-tests=error",
                              "-j", str(os.cpu_count()), *chosen],
                             env=environment(RETRACE_FIGURES=path,
                                             RETRACE_KILLS=None if quick else 1000))
        failed = failed_tests(output)
        if status != 0 and not failed:
            raise RuntimeError(f"ctest ended with {status}: {output[-300:]}")
        yield from failed


def tests(quick, wanted, lines=None):
    """The figures that tests print of the rows, of a run of theirs or from its file."""
    failed = []
    if lines is None:
        path = BUILD / "figures.tsv"
        failed = list(tests_that_fail(quick, set(wanted), path))
        lines = path.read_text() if path.exists() else ""
    figures = []
    for line in lines.splitlines():
        row, holds, what, reached = line.split("\t")
        figures.append(Figure(row, what, reached, holds == "pass"))
    yield from figures
    yield from missing(figures, quick)
    # What a test counted is worth nothing when it, or one beside it, fails.
    rows, _ = rows_of_tests()
    for name in failed:
        for row in sorted(rows.get(name) or rows[name.split("_")[0]]):
            yield Figure(row, f"the test {name}", "fails", False)


def mutation(quick):
    now, before, possible = mutants.measure(
        500, 20, mutants.commit(), lambda line: print(f"  {line}", file=sys.stderr, flush=True))
    known, vain = mutants.explanations(), mutants.explained_in_vain()
    survived = [mutant for mutant, result in before if result == "survived"]
    explained = sum(mutant.name() in known for mutant in survived)
    total = len(now) + len(before)
    new = sum(result != "survived" for _, result in now)
    killed = new + len(before) - len(survived)
    yield Figure("R82", f"{total} mutants of {possible:,} possible, those judged last",
                 f"{killed} killed, {100 * killed / total:.1f} % (85); {explained} of "
                 f"{len(survived)} survivors of before explained" +
                 (f"; {len(vain)} are explained and did not survive" if vain else ""),
                 killed >= 0.85 * total and explained == len(survived))
    yield Figure("R82", f"of them {len(now)} never judged before, drawn by the commit",
                 f"{new} killed, {100 * new / max(1, len(now)):.1f} %", len(now) > 0)


# What measures which rows; the last says whether the short form runs it, too.
MEASURES = [
    (tests, "R10 R11 R12 R13 R14 R23 R30 R31 R32 R33 R34 R35 R36 R44 R50 R51 R52 R53 R54 R60 R61 "
            "R70 R71 R72 R40 R41 R42 R43", True),
    (circumstances.same_seed_same_bits, "R20", True),
    (circumstances.threads, "R21", True),
    (circumstances.surroundings, "R22", True),
    (circumstances.stepping, "R87", True),
    (circumstances.reach, "R88", True),
    (fuzzing.counts, "R40 R41 R42 R43", False),
    (builds.orders, "R85", True),
    (builds.hardening, "R84", False),
    (builds.coverage, "R81", False),
    (mutation, "R82", False),
    (builds.warnings, "R83", False),
    (builds.sanitizers, "R80", False),
]


def chosen(wanted, quick):
    """Of what measures: it, and which rows of those wanted."""
    for function, rows, is_quick in MEASURES:
        mine = [row for row in rows.split() if row in wanted]
        if mine and (is_quick or not quick):
            yield function, mine


def measure(function, rows, quick, *more):
    """Its figures; what it could not measure falls short."""
    start = time.monotonic()
    figures = []
    try:
        for figure in function(quick, *more):
            figures.append(figure)
    except NotHere as reason:
        print(f"{' '.join(rows)}: {reason}", file=sys.stderr)
        if not quick:
            figures += [Figure(row, "not measured", str(reason), False) for row in rows]
        return figures
    except Exception as error:
        traceback.print_exc()
        figures += [Figure(row, "could not be measured", str(error)[-300:], False) for row in rows]
    missing = set(rows) - {figure.row for figure in figures}
    figures += [Figure(row, "not measured", "no figure", False) for row in sorted(missing)]
    print(f"{function.__module__}.{function.__name__}: {time.monotonic() - start:.0f} s",
          file=sys.stderr, flush=True)
    return figures


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    compiler, _ = run([os.environ.get("CXX", "g++"), "-dumpfullversion"])
    return f"{os.cpu_count()} cores of {model.group(1) if model else 'unknown'}, g++ {compiler.strip()}"


def changed(since):
    """Files that are not as in the commit `since`, but for the table and the records."""
    files = set()
    for command in (["diff", "--name-only", since], ["ls-files", "--others", "--exclude-standard"]):
        files |= set(run(["git", "-C", ROOT, *command])[0].splitlines())
    records = (PAGE, fuzzing.KEPT, mutants.RESULTS, mutants.EXPLAINED)
    return sorted(files - {str(path.relative_to(ROOT)) for path in records})


def tests_commit():
    """What ./test writes at the head of a file of figures."""
    name, status = run(["git", "-C", ROOT, "describe", "--always", "--dirty"])
    return name.strip() if status == 0 else "no commit"


def read_figures(path):
    """Lines of a file that RETRACE_FIGURES named, which have to be of this commit."""
    try:
        head, _, lines = path.read_text().partition("\n")
    except OSError as error:
        sys.exit(f"--figures: {error}")
    if head != tests_commit():
        sys.exit(f"--figures: {path} is of {head[:40]}, and this is {tests_commit()}: "
                 f"run RETRACE_FIGURES={path} ./test again")
    return lines


def commit():
    """Its name, or nothing outside of git; and what the tree has besides."""
    name, status = run(["git", "-C", ROOT, "describe", "--always"])
    return (name.strip(), changed("HEAD")) if status == 0 else ("", [])


def show(figures, rows):
    for row in rows:
        mine = [figure for figure in figures if figure.row == row]
        holds = bool(mine) and all(figure.holds for figure in mine)
        print(f"{row}  {'pass ' if holds else 'SHORT'}  {PROMISES[row]}", flush=True)
        for figure in mine:
            text = f"{figure.what}: {figure.reached}{'' if figure.holds else '  <- SHORT'}"
            print(textwrap.fill(text, 110, initial_indent=" " * 12, subsequent_indent=" " * 14))


def keep(figures, rows, stamp, measured):
    """Puts the rows into the table of the page; the others stay."""
    if others := changed(measured):
        sys.exit(f"not written: changed since {measured}: {', '.join(others[:5])}")
    fuzzing.keep_record()
    text = PAGE.read_text()
    head, body = re.split(r"(?<=\n\| --- \| --- \| --- \| --- \| --- \|\n)", text)
    table, tail = re.match(r"((?:\|.*\n)*)(.*)", body, re.DOTALL).groups()
    lines = {line[2:5]: line for line in table.splitlines()}
    for row in rows:
        mine = [figure for figure in figures if figure.row == row]
        cell = "<br>".join(f"{figure.what}: {figure.reached}{'' if figure.holds else ' (**short**)'}"
                           for figure in mine).replace("|", "\\|").replace("\n", " ")
        holds = "yes" if mine and all(figure.holds for figure in mine) else "**no**"
        lines[row] = f"| {row} | {PROMISES[row]} | {cell} | {holds} | {stamp} |"
    PAGE.write_text(head + "".join(lines[row] + "\n" for row in PROMISES if row in lines) + tail)


def main():
    parser = argparse.ArgumentParser(prog="./reliability", description=__doc__)
    parser.add_argument("--quick", action="store_true",
                        help="the short form, some minutes; R80 to R84 are left to ./test and CI")
    parser.add_argument("--only", help="rows, like R20,R21")
    parser.add_argument("--figures", type=pathlib.Path,
                        help="take the tests' figures from a file that RETRACE_FIGURES named")
    parser.add_argument("--write", action="store_true", help="put them into docs/reliability.md, too")
    parser.add_argument("--list", action="store_true", help="what is promised, and stop")
    arguments = parser.parse_args()
    if arguments.list:
        for row, promise in PROMISES.items():
            print(row, promise)
        return
    wanted = set(arguments.only.split(",")) if arguments.only else set(PROMISES)
    if unknown := wanted - set(PROMISES):
        parser.error(f"no row is called {', '.join(sorted(unknown))}; --list shows them")
    measured, others = commit()
    if arguments.write:  # a row names the commit that it was measured of
        if arguments.figures:
            parser.error("--write: the figures of a file may be those of another commit")
        if others or not measured:
            parser.error(f"--write: not as in a commit: {', '.join(others[:5]) or 'any file'}")
    given = [read_figures(arguments.figures)] if arguments.figures else []
    stamp = (f"{datetime.date.today()}, {measured or 'no commit'}{'-dirty' if others else ''}, "
             f"{machine()}{', short form' if arguments.quick else ''}")
    print(stamp, flush=True)
    figures, rows, stopped = [], [], False
    todo = list(chosen(wanted, arguments.quick))
    try:
        for number, (function, mine) in enumerate(todo):
            more = [mine, *given] if function is tests else []
            figures += [figure for figure in measure(function, mine, arguments.quick, *more)
                        if figure.row in wanted]
            # What takes hours is not lost by what comes behind it.
            later = {row for _, rest in todo[number + 1:] for row in rest}
            done = [row for row in mine if row not in later and
                    any(figure.row == row for figure in figures)]
            show(figures, done)
            if arguments.write and done:
                keep(figures, done, stamp, measured)
            rows += done
    except KeyboardInterrupt:
        stopped = True
    left = [row for row in PROMISES if row in wanted and row not in rows]
    if arguments.only:  # they were asked for by name
        why = "stopped" if stopped else "not here, or not in the short form"
        figures += [Figure(row, "not measured", why, False) for row in left]
        show(figures, left)
        rows += left
    elif left:
        print(f"not measured: {' '.join(left)}")
    short = [row for row in rows if not all(f.holds for f in figures if f.row == row)]
    print(f"{'stopped; ' * stopped}{len(rows) - len(short)} of {len(rows)} hold" +
          (f"; short: {' '.join(short)}" if short else ""))
    sys.exit(130 if stopped else 1 if short or not rows else 0)


if __name__ == "__main__":
    main()
