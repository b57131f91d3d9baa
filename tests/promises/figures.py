"""What a promise came to: one line of the table of ./reliability."""

import collections
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

# `row` is the number of the promise; `what` was done, `reached` was counted; `holds`: as promised.
Figure = collections.namedtuple("Figure", "row what reached holds")


class NotHere(Exception):
    """This machine does not allow the measurement: the short form does without."""


def of(reached, total, thing=""):
    return f"{reached:,} of {total:,} {thing}".strip()


class Tally:
    """How often something was as it should be, and what was not."""

    def __init__(self):
        self.good, self.wrong = 0, []

    def expect(self, holds, what):
        if holds:
            self.good += 1
        else:
            self.wrong.append(what)

    def figure(self, row, what, thing):
        total = self.good + len(self.wrong)
        return Figure(row, what, of(self.good, total, thing) +
                      "".join("; not " + wrong for wrong in self.wrong[:10]), 0 < self.good == total)


def run(command, **kwargs):
    """Its output and how it ended, whatever that is."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **kwargs)
    return done.stdout, done.returncode


def failed_tests(output):
    """The names of those that ctest says have failed."""
    return re.findall(r"^\s*\d+ - (\S+) \((?!Skipped)", output, re.MULTILINE)


def example(name):
    return BUILD / "examples" / name


def environment(**changes):
    """This one with changes; None takes a variable out."""
    env = dict(os.environ)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "RETRACE_FIGURES"):
        env.pop(name, None)
    for name, value in changes.items():
        env.pop(name, None)
        if value is not None:
            env[name] = str(value)
    return env
