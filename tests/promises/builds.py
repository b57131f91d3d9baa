"""The library under other compilers, checkers and orders of tests."""

import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

from figures import BUILD, ROOT, Figure, Tally, environment, failed_tests, of, run

LIBRARY = "tensor autograd nn losses optim data trace train".split()
# Promised more of: what decides whether a gradient is right and a file is sound.
CORE = ("autograd/", "tensor/safetensors", "tensor/npy", "tensor/json", "tensor/file", "data/csv",
        "data/idx", "data/gzip", "data/jsonl", "trace/parse", "train/checkpoint")

# Two sizes side by side are no mistake; a loop over powers of two counts exactly; and sized delete
# is what belongs to the operator new of nodes.
TIDY = ("-*,bugprone-*,cert-*,-bugprone-easily-swappable-parameters,-bugprone-exception-escape,"
        "-bugprone-narrowing-conversions,-cert-flp30-c,-cert-dcl54-cpp")


def programs(build=BUILD):
    """Test programs that are quick and need nothing but what ./test installs, by name."""
    found = sorted((build / "tests").glob("*_tests"))
    return {path.name.removesuffix("_tests"): path for path in found
            if path.name not in ("browser_tests", "gdb_tests", "pytorch_tests")}


TestRun = collections.namedtuple("TestRun", "passed total failed status output")


def test_run(command, env=None):
    """What ctest says, in what it prints: tests passed, tests run, the names of those that failed."""
    output, status = run(command, env=env or environment())
    counts = re.findall(r"(\d+) tests failed out of (\d+)", output)
    failed, total = (sum(int(count[i]) for count in counts) for i in (0, 1))
    skipped = len(re.findall(r"\*\*\*Skipped", output))
    return TestRun(total - failed - skipped, total - skipped, failed_tests(output), status, output)


def kind(name):
    """The tests of ./test --only NAME."""
    return test_run([ROOT / "test", "--only", name])


def build(name, options, targets):
    """The folder of a build of its own, with these options and none of before; objects stay."""
    folder = ROOT / f"build-{name}"
    # As in cmake/setup.sh: ccache wants single files, a first build is faster in batches.
    choices = (["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache", "-DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON"]
               if shutil.which("ccache") else ["-DRETRACE_BATCHES=ON"])
    (folder / "CMakeCache.txt").unlink(missing_ok=True)
    for command in (["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", *choices, *options],
                    ["cmake", "--build", folder, "--target", *targets]):
        output, status = run(command)
        if status != 0:
            raise RuntimeError(f"build {name}: {output[-3000:]}")
    return folder


def ctest(folder, *chosen, without=(), env=None):
    """The quick tests of a build."""
    without = "|".join(["house", "install", *without])
    return test_run(["ctest", "--test-dir", folder, "-LE", "slow|extra|gdb", "--output-on-failure",
                     "-E", f"^({without})$", "-j", str(os.cpu_count()), *chosen], env)


def of_tests(row, what, tests):
    """How many test programs pass, and which do not."""
    return Figure(row, what, of(tests.passed, tests.total, "test programs pass") +
                  "".join("; not " + name for name in tests.failed),
                  tests.status == 0 and tests.passed == tests.total > 0)


def coverage_build(targets):
    """A build that counts what it runs, with nothing counted yet. clang counts in the source: gcc's
    branches are for the most part its own, of cleaning up and of copies of inline functions. (At -O0
    a training takes thirty times as long as in a release. Counters are not atomic, for which threads
    wait: one that misses a count is not left at 0.)"""
    folder = ROOT / "build-coverage"
    counts = folder / "counts"
    build("coverage", ["-DCMAKE_CXX_COMPILER=clang++", "-DCMAKE_BUILD_TYPE=Debug",
                       "-DRETRACE_WERROR=OFF",
                       "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1 -fcoverage-mapping " +
                       shlex.quote(f"-fprofile-instr-generate={counts}/%8m.profraw")], targets)
    shutil.rmtree(counts, ignore_errors=True)
    return folder


def covered_files(folder):
    """Of each source of the library, how many lines and branches it has, and how many of them ran."""
    profile = folder / "profile"
    output, status = run(["llvm-profdata-14", "merge", "-sparse", "-failure-mode=all", "-o", profile,
                          *(folder / "counts").glob("*.profraw")])
    if status != 0:
        raise RuntimeError(f"llvm-profdata: {output[-2000:]}")
    # The library itself too: a program has only those of its parts that it needs. Not the archive,
    # in which its parts may lie at places that llvm-cov 14 takes for malformed.
    parts = folder.glob("CMakeFiles/retrace*.dir/**/*.o")
    programs = [path for room in ("tests", "examples", "tools") for path in (folder / room).glob("*")
                if path.is_file() and os.access(path, os.X_OK)]
    objects = [word for path in [*parts, *programs] for word in ("-object", path)]
    # Its warnings would stand among the JSON.
    done = subprocess.run(["llvm-cov-14", "export", "-summary-only", f"-instr-profile={profile}",
                           *objects[1:], *(ROOT / room for room in LIBRARY)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"llvm-cov: {done.stderr[-2000:]}")
    return {str(pathlib.Path(file["filename"]).relative_to(ROOT)): file["summary"]
            for file in json.loads(done.stdout)["data"][0]["files"]}


def sanitizers(quick):
    for name in ("asan", "asan-programs", "tsan"):
        yield of_tests("R80", f"./test --only {name}", kind(name))
    folder = build("asan-clang", ["-DCMAKE_CXX_COMPILER=clang++", "-DCMAKE_BUILD_TYPE=Debug",
                                  "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1",
                                  "-DRETRACE_SANITIZE=address;undefined;float-cast-overflow"],
                   ["engine_tests"])
    yield of_tests("R80", "the engine's, under clang's address and undefined-behaviour sanitizers",
                   ctest(folder, "-L", "engine",
                         env=environment(ASAN_OPTIONS="detect_stack_use_after_return=1")))
    yield valgrind()


# Graphs and products that are large natively would take memcheck hours; it runs one thread at a time,
# which those that watch threads and processes wait for; and its long double has 53 bits.
NOT_FOR_MEMCHECK = ("*a million ops*,*a million uses*,*a million leaves*,*chain that saves tensors*,"
                    "*chain of ops that save*,*runs a long chain*,*is what the library says*,"
                    "*through 50 layers selu*,*a pass that is watched*,*who watched a step*,"
                    "*relative to the largest number of the tensor*,"
                    "*gemm at and around the sizes*,*4 threads give the same bits*,"
                    "*number of threads changes*,*forked child*,"
                    "*processes that write into one folder*,*float functions keep*,"
                    "*float functions are accurate*,*the normal distribution keeps*")


def valgrind():
    """Memcheck knows no AVX-512: a build for older processors; nor blocks that a pool hands out, so
    the pool passes straight to malloc, as RETRACE_SANITIZE has it."""
    names = ["tensor", "autograd", "losses", "optim", "nn", "data", "trace"]
    folder = build("valgrind", ["-DCMAKE_BUILD_TYPE=Debug", "-DRETRACE_NATIVE=OFF",
                                "-DRETRACE_WERROR=OFF",  # what the pool no longer uses
                                "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1 -DRETRACE_NO_POOL"],
                   [f"tests/{name}_tests" for name in names])

    def memcheck(name):
        return run(["valgrind", "-q", "--error-exitcode=99",
                    folder / f"tests/{name}_tests", "--source-file-exclude=*_slow_test.cpp",
                    f"--test-case-exclude={NOT_FOR_MEMCHECK}"],
                   env=environment(OPENBLAS_CORETYPE="Haswell", OMP_NUM_THREADS=1))

    tally = Tally()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, (output, status) in zip(names, pool.map(memcheck, names)):
            said = re.search(r"==\d+== +(\S.*)|.*ERROR.*", output)
            tally.expect(status == 0, f"{name}: {said.group()[:100] if said else status}")
    return tally.figure("R80", "valgrind memcheck, without what is too long for it: " + ", ".join(names),
                        "test programs without an error")


def coverage(quick):
    folder = coverage_build(["all", "tests/all"])
    # What counts crashes where memory is missing from the start; and where products are not fused,
    # functions of floats are less exact than in a release.
    alone = {"faults": "*in a small address space*",
             "tensor": "*float functions keep*,*float functions are accurate*"}
    tests = ctest(folder, without=list(alone))
    if tests.status != 0:
        raise RuntimeError(f"coverage: not {', '.join(tests.failed)}: {tests.output[-3000:]}")
    for name, left_out in alone.items():
        output, status = run([folder / f"tests/{name}_tests", "--source-file-exclude=*_slow_test.cpp",
                              f"--test-case-exclude={left_out}"], env=environment())
        if status != 0:
            raise RuntimeError(f"coverage: {name}: {output[-3000:]}")
    files = covered_files(folder)
    for what, chosen, lines, branches in (
            ("the library", list(files), 95, 85),
            ("tape, readers, checkpoints", [path for path in files if path.startswith(CORE)], 98, 92)):
        share = lambda unit: (100 * sum(files[path][unit]["covered"] for path in chosen) /
                              sum(files[path][unit]["count"] for path in chosen))
        yield Figure("R81", what, f"{share('lines'):.1f} % of lines ({lines}), "
                     f"{share('branches'):.1f} % of branches ({branches}) run by the quick tests",
                     share("lines") >= lines and share("branches") >= branches)


def without_template_lambdas(folder):
    """A copy of the library that cppcheck 2.10 can read: it stops at []<class T>(T x)."""
    head = re.compile(r"\]\s*<(?:class|typename|std::size_t)\b[^()]*?>\s*\(")
    for room in LIBRARY:
        shutil.copytree(ROOT / room, folder / "retrace" / room)
    for path in folder.rglob("*.[ch]*"):
        if path.suffix in (".h", ".cpp"):
            path.write_text(head.sub("](", path.read_text()))
    return sorted(folder.rglob("*.cpp"))


def checked(tool, found, read, output, status):
    """What a checker found in the sources of the library, each of which it has to have read."""
    sources = {str(path.relative_to(ROOT)) for room in LIBRARY for path in (ROOT / room).rglob("*.cpp")}
    seen = len(sources & set(read))
    failed = f"; ended with {status}: {output.strip()[-200:]}" if status != 0 else ""
    return Figure("R83", tool, f"{len(found)} findings in {of(seen, len(sources), 'sources')}" +
                  failed + "".join("; " + line for line in found[:5]),
                  status == 0 and not found and seen == len(sources) > 0)


def warnings(quick):
    """Both compilers stop at a warning (RETRACE_WERROR); here every file is seen by the checkers."""
    clang = kind("clang")
    yield Figure("R83", "g++ and clang with -Wall -Wextra -Wconversion -Wshadow -Werror",
                 "both build all" if clang.status == 0 else
                 "not clang: " + (", ".join(clang.failed) or clang.output.strip()[-200:]),
                 clang.status == 0)
    with tempfile.TemporaryDirectory() as place:
        output, status = run(["cppcheck", "--enable=warning,performance,portability",
                              "--inline-suppr", "--std=c++20", "-j", str(os.cpu_count()),
                              "--template={file}:{line}: {id}: {message}",
                              f"--suppressions-list={ROOT}/tests/promises/cppcheck.txt",
                              "-I", place, *without_template_lambdas(pathlib.Path(place))])
    yield checked("cppcheck", re.findall(r"(?m)^\S*?/retrace/(\S+:\d+: .*)", output),
                  re.findall(rf"(?m)^Checking {place}/retrace/(\S+) \.\.\.$", output), output, status)
    output, status = run(["run-clang-tidy-14", "-quiet", f"-checks={TIDY}", "-p", ROOT / "build-clang",
                          "-j", str(os.cpu_count()),
                          f"{ROOT}/({'|'.join(LIBRARY)})/"], cwd=ROOT)
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)  # it has no way to leave the colours out
    found = sorted(set(re.findall(rf"(?m)^{ROOT}/(\S+:\d+:\d+: (?:warning|error): .*)", output)))
    yield checked("clang-tidy (bugprone, cert)", found,
                  re.findall(rf"(?m)^\S*clang-tidy.* {ROOT}/(\S+)$", output), output, status)


def hardening(quick):
    folder = build(
        "hardened", ["-DCMAKE_BUILD_TYPE=Debug", "-DRETRACE_WERROR=OFF",
                     "-DCMAKE_CXX_FLAGS_DEBUG=-O2 -g1 -D_GLIBCXX_ASSERTIONS -D_FORTIFY_SOURCE=3 "
                     "-fstack-protector-strong -ftrivial-auto-var-init=pattern -fcf-protection"],
        ["all", "tests/all"])
    yield of_tests("R84", "assertions of the library's containers, FORTIFY_SOURCE=3, stack "
                   "protector, patterns in uninitialised variables", ctest(folder))


def orders(quick):
    chosen = programs()
    if quick:
        chosen = {name: chosen[name] for name in ("autograd", "nn", "optim", "losses")}
    rounds, tally = (1 if quick else 20), Tally()
    ordered = [([program, "--order-by=rand", f"--rand-seed={seed}"], f"{name} with seed {seed}")
               for seed in range(1, rounds + 1) for name, program in chosen.items()]
    alone = []
    for name, program in chosen.items():
        listed, _ = run([program, "--list-test-cases", "--source-file-exclude=*_slow_test.cpp"])
        cases = listed.split("=" * 79)[1].strip().splitlines()
        # A comma would part two filters; ? stands for any character.
        alone += [([program, "--test-case=" + re.sub(r"[,*?\\]", "?", case)], f"{name}: {case}")
                  for case in cases[::20 if quick else 1]]
    commands, names = zip(*ordered, *alone)
    with (tempfile.TemporaryDirectory() as folder,
          concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool):
        def passes(command):
            output, status = run([*command, "--source-file-exclude=*_slow_test.cpp"], cwd=folder,
                                 env=environment(TMPDIR=folder))
            if status != 0:  # it may be hard to see again
                print(*command, output[-3000:], file=sys.stderr, flush=True)
            return status == 0

        for passed, name in zip(pool.map(passes, commands), names):
            tally.expect(passed, name)
    yield tally.figure("R85", f"{len(chosen)} test programs in {rounds} random orders, "
                       f"{len(alone)} tests alone", "runs pass")
