#!/usr/bin/env python3
"""write.py DOXYGEN FOLDER: runs Doxygen on FOLDER/Doxyfile; fails on all that it warns of, but for
members of classes whose names say what they are, and where headers or what is in them are missing."""

import pathlib
import re
import shutil
import subprocess
import sys

doxygen, folder = sys.argv[1], pathlib.Path(sys.argv[2])
html, warnings = folder / "html", folder / "warnings.txt"
shutil.rmtree(html, ignore_errors=True)  # pages of what is no more
warnings.unlink(missing_ok=True)
# It is told to be quiet: what is heard is a filter that fails, which Doxygen takes for an empty file.
done = subprocess.run([doxygen, folder / "Doxyfile"], stderr=subprocess.PIPE, text=True, check=False)
member = re.compile(r" \((function|variable|typedef|enumeration)\) of (class|struct) .* is not documented")
found = [line for line in (warnings.read_text() if warnings.exists() else "").splitlines()
         if not member.search(line)] + done.stderr.splitlines()
headers = len(re.findall(r'^ +"/.*\.h"', (folder / "Doxyfile").read_text(), re.MULTILINE))
read = len(list(html.glob("*_8h_source.html")))
if not 0 < headers == read:
    found.append(f"{read} of {headers} headers have a page")
for page in ("index.html", "namespaceretrace.html", "classretrace_1_1Tensor.html"):
    if not (html / page).exists():
        found.append(f"{page} is missing")
print("\n".join(found))
print(f"{html}/index.html: {len(list(html.glob('*.html')))} pages, {len(found)} warnings")
sys.exit(done.returncode or (1 if found else 0))
