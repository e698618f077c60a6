#!/usr/bin/env python3
"""Tests tools/count_tests.py on build events and reports as Bazel and GoogleTest write them."""

import json
import os
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # The tree stays as it was.
sys.path.insert(0, os.path.join(os.getcwd(), "tools"))

import count_tests  # noqa: E402

GOOGLETEST = """<?xml version="1.0"?><testsuites tests="4"><testsuite name="ShardTest">
<testcase name="Applies" classname="ShardTest" status="run" result="completed"/>
<testcase name="Parks" classname="ShardTest" status="run" result="completed">%s</testcase>
<testcase name="UsesCard" classname="ShardTest" status="run" result="skipped">
<skipped message="shard_test.cc:7&#x0A;no card here"/></testcase>
<testcase name="DISABLED_Old" classname="ShardTest" status="notrun" result="suppressed"/>
</testsuite></testsuites>"""


class CountTestsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def configured(self, label):
        return {"id": {"targetConfigured": {"label": label}}, "configured": {"testSize": "MEDIUM"}}

    def result(self, label, status, report=None):
        files = [{"name": "test.log", "uri": "file:///nowhere"}]
        if report is not None:
            path = self.folder / (label.replace("/", "_") + " test.xml")
            path.write_text(report, encoding="utf-8")
            files.append({"name": "test.xml", "uri": path.as_uri()})
        return {"id": {"testResult": {"label": label}},
                "testResult": {"status": status, "testActionOutput": files}}

    def count(self, *events, unfinished="failed"):
        targets = count_tests.read_events(json.dumps(event) for event in events)
        count = count_tests.count_targets(targets, unfinished)
        return count.passed, len(count.failed), len(count.skipped)

    def test_counts_cases_not_targets(self):
        self.assertEqual(
            self.count(self.configured("//a"), self.result("//a", "PASSED", GOOGLETEST % "")),
            (2, 0, 2))

    def test_counts_each_failed_case_once(self):
        failure = '<failure message="a"/><failure message="b"/>'
        self.assertEqual(
            self.count(self.configured("//a"), self.result("//a", "FAILED", GOOGLETEST % failure)),
            (1, 1, 2))

    def test_counts_a_failed_target_whose_cases_all_passed(self):
        self.assertEqual(
            self.count(self.configured("//a"), self.result("//a", "FAILED", GOOGLETEST % "")),
            (2, 1, 2))

    def test_counts_a_timeout_without_report_as_one_failure(self):
        self.assertEqual(self.count(self.configured("//a"), self.result("//a", "TIMEOUT")),
                         (0, 1, 0))

    def test_counts_a_broken_report_of_a_failed_target_as_one_failure(self):
        self.assertEqual(
            self.count(self.configured("//a"), self.result("//a", "FAILED", "<testsuites")),
            (0, 1, 0))

    def test_counts_a_target_that_never_ran(self):
        self.assertEqual(self.count(self.configured("//a")), (0, 1, 0))
        self.assertEqual(self.count(self.configured("//a"), unfinished="skipped"), (0, 0, 1))

    def test_ignores_targets_that_are_no_tests(self):
        library = {"id": {"targetConfigured": {"label": "//lib"}}, "configured": {}}
        self.assertEqual(self.count(library), (0, 0, 0))

    def test_ignores_a_line_that_was_cut_off(self):
        targets = count_tests.read_events([json.dumps(self.configured("//a")), '{"id": {"te'])
        self.assertEqual(list(targets), ["//a"])

    def test_keeps_the_words_of_a_skipped_case(self):
        targets = count_tests.read_events(
            json.dumps(event) for event in [self.result("//a", "PASSED", GOOGLETEST % "")])
        count = count_tests.count_targets(targets, "failed")
        self.assertIn("//a ShardTest.UsesCard: no card here", count.skipped)


if __name__ == "__main__":
    unittest.main()
