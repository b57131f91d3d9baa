#!/usr/bin/env python3
"""What Doxygen reads in place of a header: the same, with the house's ways of commenting spelled out.

A comment holds for all declarations below it up to the next comment or blank line, which Doxygen
knows as a group. And options, results and layers stand beside the function or class that their
comment describes.
"""

import re
import sys

TYPE = re.compile(r"^(\s*)(?:struct|class) (\w+)\b(?!.*;\s*$)")
ROLES = ((r"(\w+)(?:Func)?Options$", "What {} takes; it says what they mean."),
         (r"(\w+)Result$|(\w+)Output$", "What {} gives."))


def role(name):
    for pattern, text in ROLES:
        if match := re.match(pattern, name):
            subject = next(group for group in match.groups() if group)
            return text.format(re.sub(r"Func$", "", subject))
    return None


def depth_after(line, depth):
    code = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])\'|//.*', "", line)
    return depth + code.count("{") - code.count("}") + code.count("(") - code.count(")")


def spelled_out(lines):
    """Groups end where the next comment begins, a line is blank, or what they stand in closes."""
    out, at = [], 0
    while at < len(lines):
        line = lines[at]
        if (match := TYPE.match(line)) and not (out and out[-1].lstrip().startswith(("///", "template"))):
            if text := role(match.group(2)):
                out.append(f"{match.group(1)}/// {text}")
        if not line.lstrip().startswith("///") or line.lstrip().startswith("///<"):
            out.append(line)
            at += 1
            continue
        indent = len(line) - len(line.lstrip())
        end = at
        while end < len(lines) and lines[end].lstrip().startswith("///"):
            end += 1
        comment, body, depth, declarations = lines[at:end], [], 0, 0
        while end < len(lines):
            text = lines[end]
            inside = depth > 0
            if not inside and (not text.strip() or text.lstrip().startswith("///") or
                               len(text) - len(text.lstrip()) < indent or
                               re.match(r"\s*(public|private|protected):|\s*// \S.* -{5,}", text)):
                break
            depth = depth_after(text, depth)
            body.append(text)
            end += 1
            if depth == 0 and re.search(r"[;}]\s*(//.*)?$", text):
                declarations += 1
        # Inside of a type with a comment of its own there are further groups.
        if body and TYPE.match(body[0]) or body and body[0].lstrip().startswith("enum"):
            out += comment + [body[0]] + spelled_out(body[1:])
        elif declarations > 1:
            pad = " " * indent
            out += comment + [f"{pad}///@{{"] + body + [f"{pad}///@}}"]
        else:
            out += comment + body
        at = end
    return out


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print("\n".join(spelled_out(file.read().split("\n"))))
