"""What ./fuzz has run, and how much of the readers what it learnt reaches."""

import collections

from builds import coverage_build, covered_files
from figures import ROOT, Figure, environment, run

KEPT, NEW = ROOT / "tests/fuzz/record.tsv", ROOT / "build-fuzz/record.tsv"
BROKEN = ROOT / "build-fuzz/broken"
MILLION = 1_000_000
GOALS = {"R40": {"safetensors": 50}, "R41": {"jsonl": 30},
         "R42": dict.fromkeys("csv gzip idx model npy options text tokenizer trace".split(), 10),
         "R43": {"tensors": 5}}
READERS = {"R40": ["tensor/safetensors_header.cpp", "tensor/safetensors.cpp", "tensor/stored_type.cpp"],
           "R41": ["data/jsonl.cpp", "tensor/json.cpp"],
           "R42": ["data/as_json.cpp", "data/csv.cpp", "data/gzip.cpp", "data/idx.cpp",
                   "data/text.cpp", "data/tokenizer.cpp", "data/tokenizer_files.cpp",
                   "tensor/npy.cpp", "trace/parse.cpp", "train/command_line.cpp",
                   "train/options.cpp", "train/transformer_config.cpp"]}


def runs(new=NEW):
    """(date, commit, target) of all runs, with their inputs, seconds and crashes."""
    sums = {}
    for path in (KEPT, new):
        for line in path.read_text().splitlines() if path.exists() else []:
            *key, inputs, seconds, crashes = line.split("\t")
            before = sums.get(tuple(key), (0, 0, 0))
            sums[tuple(key)] = tuple(map(sum, zip(before, map(int, (inputs, seconds, crashes)))))
    return sums


def keep_record():
    """Takes what was run here into the tree. Stopped in the middle, it has counted nothing twice."""
    if not NEW.exists():
        return
    taken = NEW.rename(NEW.with_suffix(".taken"))
    KEPT.write_text("".join("\t".join([*key, *map(str, counts)]) + "\n"
                            for key, counts in sorted(runs(taken).items())))
    taken.unlink()


def reached_lines():
    """Lines of each source of the library, and those that seeds and what ./fuzz learnt run."""
    folder = coverage_build(["tests/fuzz_replay"])
    corpus = ROOT / "build-fuzz/corpus"
    output, status = run([folder / "tests/fuzz_replay", *([corpus] if corpus.exists() else [])],
                         env=environment())
    if status != 0:
        raise RuntimeError(f"fuzz_replay: {output[-2000:]}")
    files = covered_files(folder)
    return {path: (file["lines"]["covered"], file["lines"]["count"]) for path, file in files.items()}


def files_in(folder):
    return sum(path.is_file() for path in folder.glob("*"))


def counts(quick):
    inputs, crashes = collections.Counter(), collections.Counter()
    for (_, _, target), (count, _, broke) in runs().items():
        inputs[target] += count
        crashes[target] += broke
    for row, goals in GOALS.items():
        for target, goal in goals.items():
            # What broke it is kept once it is mended, and replayed (R44); until then it lies in broken/.
            kept, waiting = files_in(KEPT.parent / "crashes" / target), files_in(BROKEN / target)
            lost = max(crashes[target] - kept, 0)
            yield Figure(row, f"./fuzz {target}",
                         f"{inputs[target] / MILLION:.2f} of {goal} million inputs; "
                         f"{kept} that broke it are replayed among the tests" +
                         (f", {lost} are not" if lost else "") +
                         (f", {waiting} wait in {BROKEN.relative_to(ROOT)}" if waiting else ""),
                         inputs[target] >= goal * MILLION and not lost and not waiting)
    lines = reached_lines()
    for row, paths in READERS.items():
        for path in paths:
            covered, total = lines[path]
            yield Figure(row, f"lines of {path} that the corpus runs",
                         f"{100 * covered / total:.1f} % (98)", covered >= 0.98 * total)
