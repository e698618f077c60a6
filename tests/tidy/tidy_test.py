#!/usr/bin/env python3
"""Checks the whole tree against the rules in rules.py; a test case each.

    tests/tidy/tidy_test.py [ROOT]
"""

import os
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

sys.dont_write_bytecode = True  # The tree stays as it was.
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import rules  # noqa: E402
import source  # noqa: E402


def find_root():
    """The tree that this run's WORKSPACE is a link to: no target lists all sources as data."""
    return pathlib.Path(os.path.realpath("WORKSPACE")).parent


def run_rule(rule, tree, suite):
    """Runs one rule; returns how many findings there were."""
    name = rule.__name__
    case = ElementTree.SubElement(suite, "testcase", name=name, classname="TidyTest", status="run")
    try:
        findings = list(rule(tree))
    except rules.Skipped as reason:
        print(f"skipped {name}: {reason}")
        ElementTree.SubElement(case, "skipped", message=str(reason))
        return 0
    print(f"{'FAILED' if findings else 'ok'} {name}: {rule.__doc__.splitlines()[0]}")
    lines = [f"{f.path}:{f.line}: {f.words}" for f in findings]
    for line in lines:
        print("  " + line)
    if findings:
        ElementTree.SubElement(case, "failure", message="\n".join(lines))
    return len(findings)


def main():
    tree = source.Tree(sys.argv[1] if len(sys.argv) > 1 else find_root())
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", name="TidyTest")
    findings = sum(run_rule(rule, tree, suite) for rule in rules.RULES)
    report = os.environ.get("XML_OUTPUT_FILE")
    if report:
        ElementTree.ElementTree(suites).write(report, encoding="utf-8")
    print(f"{len(tree.sources)} files, {findings} findings")
    if not tree.sources:
        print("no sources found: WORKSPACE does not lead to the tree")
    return 1 if findings or not tree.sources else 0


if __name__ == "__main__":
    sys.exit(main())
