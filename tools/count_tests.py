#!/usr/bin/env python3
"""Counts test cases after `bazel test --build_event_json_file=EVENTS`.

    tools/count_tests.py [--unfinished failed|skipped] EVENTS

Prints what failed and what was skipped, with the words of the test, to stderr and
`PASSED FAILED SKIPPED` to stdout. A case is a <testcase> of the report that the test itself wrote.
A target that failed although none of its cases did (a crash, a leak found at the end, a timeout)
counts as one failed case; a target that was to run and did not counts as one failed, or as one
skipped if the caller ran out of time on purpose.
"""

import argparse
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field


@dataclass
class Count:
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@dataclass
class Target:
    """What the build events say about one test target."""

    status: str = ""  # Empty: it did not run.
    reports: list[str] = field(default_factory=list)


def read_events(lines):
    """Target by label, of every test target that was to run."""
    targets = {}
    for line in lines:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:  # The last line of an interrupted build.
            continue
        kind = event.get("id", {})
        if "targetConfigured" in kind and "testSize" in event.get("configured", {}):
            targets.setdefault(kind["targetConfigured"]["label"], Target())
        elif "testResult" in kind:
            target = targets.setdefault(kind["testResult"]["label"], Target())
            result = event.get("testResult", {})
            if target.status in ("", "PASSED"):
                target.status = result.get("status", "NO_STATUS")
            target.reports += [urllib.parse.unquote(urllib.parse.urlparse(file["uri"]).path)
                               for file in result.get("testActionOutput", [])
                               if file.get("name") == "test.xml" and "uri" in file]
    return targets


def count_report(label, path, count):
    """Adds the cases of one report; returns how many of them failed."""
    failed = 0
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return 0
    for case in root.iter("testcase"):
        name = f"{label} {case.get('classname', '')}.{case.get('name', '')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            count.failed.append(name)
        elif skipped is not None:
            words = (skipped.get("message") or skipped.text or "").strip().splitlines()
            count.skipped.append(f"{name}: {words[-1] if words else 'no reason given'}")
        elif case.get("status") == "notrun":
            count.skipped.append(f"{name}: disabled")
        else:
            count.passed += 1
    return failed


def count_targets(targets, unfinished):
    count = Count()
    for label, target in sorted(targets.items()):
        if target.status in ("", "NO_STATUS", "INCOMPLETE"):
            getattr(count, unfinished).append(f"{label}: did not run to its end")
            continue
        failed = sum(count_report(label, path, count) for path in target.reports)
        if target.status != "PASSED" and failed == 0:
            count.failed.append(f"{label}: {target.status.lower()}")
    return count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("events")
    parser.add_argument("--unfinished", choices=("failed", "skipped"), default="failed")
    arguments = parser.parse_args()
    with open(arguments.events, encoding="utf-8") as file:
        count = count_targets(read_events(file), arguments.unfinished)
    for name in count.skipped:
        print(f"skipped: {name}", file=sys.stderr)
    for name in count.failed:
        print(f"FAILED: {name}", file=sys.stderr)
    print(count.passed, len(count.failed), len(count.skipped))


if __name__ == "__main__":
    main()
