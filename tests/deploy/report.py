"""Runs the unit tests of a file, and tells Bazel of each case."""

import os
import pathlib
import sys
import unittest
import xml.etree.ElementTree as ElementTree


class _Result(unittest.TextTestResult):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.suite = ElementTree.Element("testsuite", name="tests/deploy")

    def _add(self, test, kind=None, words=""):
        name = test.id().rsplit(".", 2)
        case = ElementTree.SubElement(self.suite, "testcase", name=name[-1],
                                      classname=name[-2], status="run")
        if kind:
            ElementTree.SubElement(case, kind, message=words)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._add(test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._add(test, "skipped", reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._add(test, "failure", str(err[1]))

    def addError(self, test, err):
        super().addError(test, err)
        self._add(test, "failure", repr(err[1]))


def main():
    tests = [test for suite in unittest.defaultTestLoader.loadTestsFromModule(
        sys.modules["__main__"]) for test in suite]
    if "TEST_SHARD_STATUS_FILE" in os.environ:  # Bazel runs the file so often, a part each time.
        pathlib.Path(os.environ["TEST_SHARD_STATUS_FILE"]).touch()
        tests = tests[int(os.environ["TEST_SHARD_INDEX"])::int(os.environ["TEST_TOTAL_SHARDS"])]
    result = unittest.TextTestRunner(sys.stdout, verbosity=2, resultclass=_Result).run(
        unittest.TestSuite(tests))
    report = os.environ.get("XML_OUTPUT_FILE")
    if report:
        suites = ElementTree.Element("testsuites")
        suites.append(result.suite)
        ElementTree.ElementTree(suites).write(report, encoding="utf-8")
    sys.exit(0 if result.wasSuccessful() else 1)
