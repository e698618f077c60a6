#!/usr/bin/env python3
"""Writes compile_commands.json, from which editors and clang-tidy learn how each file is compiled.

    tools/compile_commands.py [BAZEL_OPTION...]

Asks Bazel for its compile actions; builds nothing. Generated headers (protobuf) are there only
after a build. Give the options of the build you look at, such as --config=debug.
"""

import json
import pathlib
import subprocess
import sys

# What g++ takes and clang-based tools refuse.
GCC_ONLY = {"-fno-canonical-system-headers", "-Wno-free-nonheap-object"}


def bazel(*words):
    done = subprocess.run(("bazel",) + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bazel {words[0]} failed:\n{done.stderr}")
    return done.stdout


def entry(words, root, execution_root, external):
    """The database's entry for one compile command, or None for code that is not ours."""
    source = words[words.index("-c") + 1]
    if source.startswith("external/"):
        return None
    generated = source.startswith("bazel-out/")
    words = [str(external / word[len("external/"):]) if word.startswith("external/") else word
             for word in words if word not in GCC_ONLY]
    return {
        "file": str((execution_root if generated else root) / source),
        "directory": str(execution_root),
        "arguments": words,
    }


def main():
    options = sys.argv[1:]
    info = dict(line.split(": ", 1) for line in bazel("info", *options).splitlines())
    root = pathlib.Path(info["workspace"])
    execution_root = pathlib.Path(info["execution_root"])
    external = pathlib.Path(info["output_base"]) / "external"
    query = 'mnemonic("CppCompile", //...)'
    actions = json.loads(bazel("aquery", *options, "--output=jsonproto", query)).get("actions", [])
    entries = {}
    for action in actions:
        words = action["arguments"]
        # A header's own check has no object file and no place in the database.
        if "-c" not in words or not words[words.index("-c") + 1].endswith(".cc"):
            continue
        made = entry(words, root, execution_root, external)
        if made:
            entries[made["file"]] = made
    database = root / "compile_commands.json"
    database.write_text(json.dumps([entries[file] for file in sorted(entries)], indent=1) + "\n")
    print(f"{database.name}: {len(entries)} files")


if __name__ == "__main__":
    main()
