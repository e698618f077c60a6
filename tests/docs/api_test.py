#!/usr/bin/env python3
"""docs/api.md shows the example as it is, and knows every function of a session and of a step."""

import pathlib
import re
import unittest

PAGE = pathlib.Path("docs/api.md").read_text(encoding="utf-8")


def block(language):
    return re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE).group(1)


def functions(header):
    """The names of public member functions."""
    text = re.sub(r"//[^\n]*", "", header)
    for part in re.findall(r"^class \w+ final \{\n public:(.*?)^ private:", text,
                           re.DOTALL | re.MULTILINE):
        yield from re.findall(r"(?<![~\w])(\w+)\([^()]*(?:\([^()]*\))?[^()]*\)(?: const)?"
                              r"(?: \{[^}]*\})?;?$", part, re.MULTILINE)


class ApiTest(unittest.TestCase):
    def test_the_model_of_the_page_is_the_example(self):
        code = pathlib.Path("examples/own_model/own_model.cc").read_text(encoding="utf-8")
        self.assertEqual(block("cpp"), code)
        self.assertLessEqual(len(code.splitlines()), 60)

    def test_the_build_file_of_the_page_is_the_examples(self):
        self.assertEqual(block("cmake"), pathlib.Path("examples/own_model/CMakeLists.txt").read_text(
            encoding="utf-8"))

    def test_the_page_names_every_function(self):
        header = pathlib.Path("client/session.h").read_text(encoding="utf-8")
        names = set(functions(header)) - {"Session", "Memory", "TrainingStep"}
        self.assertLessEqual({"Open", "Begin", "Pull", "Finish", "floats", "Close"}, names)
        for name in sorted(names):
            with self.subTest(name):
                self.assertRegex(PAGE, rf"`(Session::)?{name}`")

    def test_the_page_names_every_error(self):
        header = pathlib.Path("common/result.h").read_text(encoding="utf-8")
        names = re.findall(r"^  (k\w+),", header, re.MULTILINE)
        self.assertIn("kFenced", names)
        for name in names:
            with self.subTest(name):
                self.assertIn(f"`{name}`", PAGE)


if __name__ == "__main__":
    unittest.main()
