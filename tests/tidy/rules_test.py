#!/usr/bin/env python3
"""Tests each tidy rule on a small tree with one planted violation, and on the same without it."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.dont_write_bytecode = True  # The tree stays as it was.
sys.path.insert(0, HERE)

import rules  # noqa: E402
import source  # noqa: E402

CLEAN_HEADER = """#pragma once

namespace shardmill {

// Adds. A value; any thread.
class Adder final {
 public:
  int Add(int a, int b) const;
};

}  // namespace shardmill
"""
CLEAN_SOURCE = """#include "common/adder.h"

namespace shardmill {

int Adder::Add(int a, int b) const { return a + b; }

}  // namespace shardmill
"""
CLEAN_TEST = """#include "common/adder.h"

#include <gtest/gtest.h>

namespace shardmill {

TEST(AdderTest, AddsTwoNumbers) { EXPECT_EQ(Adder().Add(1, 2), 3); }

}  // namespace shardmill
"""
CLEAN = {
    "common/BUILD": 'x(srcs = ["adder.cc"], hdrs = ["adder.h"])\n',
    "common/adder.h": CLEAN_HEADER,
    "common/adder.cc": CLEAN_SOURCE,
    "tests/common/BUILD": 'x(srcs = ["adder_test.cc"])\n',
    "tests/common/adder_test.cc": CLEAN_TEST,
}


class RulesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def found(self, rule, files):
        """(path, line) of what `rule` finds in a clean tree with `files` added or replaced."""
        for path, text in {**CLEAN, **files}.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text, encoding="utf-8")
        return [(f.path, f.line) for f in rule(source.Tree(self.root))]

    def including(self, path, *targets):
        return {path: "".join(f"#include {target}\n" for target in targets)}

    def test_every_rule_passes_a_clean_tree(self):
        shutil.copy(".clang-format", self.root)
        for rule in rules.RULES:
            try:
                self.assertEqual(self.found(rule, {}), [], rule.__name__)
            except rules.Skipped as reason:
                print(f"{rule.__name__}: {reason}")

    def test_file_length_allows_500_lines_and_no_more(self):
        self.assertEqual(self.found(rules.file_length, {"common/a.cc": "\n" * 500}), [])
        self.assertEqual(self.found(rules.file_length, {"common/a.cc": "\n" * 501}),
                         [("common/a.cc", 501)])
        self.assertEqual(self.found(rules.file_length, {"common/a.cc": "",
                                                        "run": "#!/bin/sh\n" + "\n" * 500}),
                         [("run", 501)])

    def test_function_length_allows_70_lines_and_no_more(self):
        def body(lines):
            return {"common/a.cc": "namespace x {\n\nint F(\n    int a) {\n" + "//\n" * (lines - 3)
                    + "}\n}\n"}
        self.assertEqual(self.found(rules.function_length, body(70)), [])
        self.assertEqual(self.found(rules.function_length, body(71)), [("common/a.cc", 3)])

    def test_function_length_measures_python(self):
        body = "x = 1\ndef f():\n" + "    pass\n" * 70
        self.assertEqual(self.found(rules.function_length, {"tools/a.py": body}),
                         [("tools/a.py", 2)])

    def test_function_length_tells_functions_from_other_braces(self):
        text = """
template <class T>
struct Holder : Base<T> {
  Holder(int a, T b) : a_{a}, b_(b), c_{{1, 2}} {
    if (a > 0) { Use("}"); }
  }
  bool operator==(const Holder&) const = default;
  auto Get() const noexcept -> T { return b_; }
  int a_ = 0;
  std::vector<int> c_{1, 2};
};
const int kTable[] = {1, 2, 3};
enum class Kind : int { kA, kB };
// } a comment's brace {
int Last() { return '}'; }
"""
        found = [(f.name, f.first, f.last) for f in source.Source("a.cc", text).functions]
        self.assertEqual(found, [("Holder", 4, 6), ("Get", 8, 8), ("Last", 15, 15)])

    def test_walls_stand_between_rooms(self):
        pairs = (("server/a.cc", "worker/trainer.h"), ("worker/a.cc", "server/shard.h"),
                 ("client/a.cc", "nn/tensor.h"), ("nn/a.cc", "client/model.h"),
                 ("common/a.cc", "client/model.h"), ("sim/a.cc", "worker/trainer.h"),
                 ("common/a.cc", "adder.h"))
        for path, target in pairs:
            with self.subTest(path=path, target=target):
                self.assertEqual(self.found(rules.walls, self.including(path, f'"{target}"')),
                                 [(path, 1)])
                (self.root / path).unlink()

    def test_walls_have_the_doors_of_the_table(self):
        files = {**self.including("worker/a.cc", '"client/model.h"', '"nn/tensor.h"'),
                 **self.including("cli/a.cc", '"worker/trainer.h"', '"server/shard.h"'),
                 **self.including("tests/sim/a.cc", '"sim/cluster.h"', "<vector>")}
        self.assertEqual(self.found(rules.walls, files), [])

    def test_libraries_stay_where_they_are_wrapped(self):
        for target in ("zmq.hpp", "zmq.h", "CLI/CLI.hpp", "toml++/toml.h", "httplib.h",
                       "cuda_runtime.h", "cublas_v2.h", "Eigen/Core", "spdlog/spdlog.h",
                       "gtest/gtest.h", "benchmark/benchmark.h", "oneapi/dnnl/dnnl.h"):
            with self.subTest(target=target):
                self.assertEqual(
                    self.found(rules.libraries, self.including("server/a.cc", f"<{target}>")),
                    [("server/a.cc", 1)])
        self.assertEqual(
            self.found(rules.libraries, self.including("server/a.cc", '"proto/wire.pb.h"')),
            [("server/a.cc", 1)])

    def test_libraries_are_free_in_their_own_folder(self):
        files = {**self.including("common/net/a.h", "<zmq.hpp>"),
                 **self.including("common/wire/a.cc", '"proto/wire.pb.h"'),
                 **self.including("nn/ops/cuda/a.cu", "<cuda_runtime.h>"),
                 **self.including("common/flags/flags.cc", "<CLI/CLI.hpp>"),
                 # A comment is no include.
                 **{"server/a.cc": "// #include <zmq.hpp>\n/*\n#include <zmq.hpp>\n*/\n"}}
        self.assertEqual(self.found(rules.libraries, files), [])

    def test_heavy_libraries_are_in_no_header(self):
        self.assertEqual(
            self.found(rules.libraries, self.including("nn/ops/cpu/a.h", "<Eigen/Core>")),
            [("nn/ops/cpu/a.h", 1)])

    def test_class_comment_is_asked_of_behaviour_alone(self):
        text = """#pragma once
namespace x {
class Ahead;
struct Plain {
  std::function<int(int)> call;
  int a = std::max(1, 2);
  bool operator==(const Plain&) const = default;
};
// Commented.
template <class T>
class Good { void F(); };
template <>
class Good<int> { void F(); };
class Bad {
  struct Inner { void F(); };
};
struct AlsoBad {
  int Area() const { return a * b; }
};
}
"""
        self.assertEqual(self.found(rules.class_comment, {"common/a.h": text}),
                         [("common/a.h", 14), ("common/a.h", 17)])

    def test_pragma_once_is_in_every_header(self):
        self.assertEqual(self.found(rules.pragma_once, {"common/a.h": "// #pragma once\n"}),
                         [("common/a.h", 1)])

    def test_dead_files_are_unnamed_or_not_included(self):
        self.assertEqual(self.found(rules.dead_files, {"common/a.cc": ""}), [("common/a.cc", 1)])
        build = 'x(hdrs = ["adder.h", "b.h"], srcs = ["adder.cc"])  # "a.cc"\n'
        self.assertEqual(
            self.found(rules.dead_files, {"common/BUILD": build, "common/b.h": ""}),
            [("common/a.cc", 1), ("common/b.h", 1)])

    def test_dead_files_knows_folders_without_a_package(self):
        build = 'x(srcs = ["adder.cc", "deep/a.cc"], hdrs = glob(["*.h"]))\n'
        self.assertEqual(
            self.found(rules.dead_files, {"common/BUILD": build, "common/deep/a.cc": "",
                                          "common/deep/b.cc": ""}), [("common/deep/b.cc", 1)])

    def test_dead_files_knows_headers_that_stand_in_for_a_librarys(self):
        build = 'x(srcs = ["a.cc"], hdrs = ["include/x/b.h", "include/c.h"])\n'
        self.assertEqual(
            self.found(rules.dead_files, {"cli/BUILD": build, "cli/a.cc": "#include <x/b.h>\n",
                                          "cli/include/x/b.h": "", "cli/include/c.h": ""}),
            [("cli/include/c.h", 1)])

    @unittest.skipIf(shutil.which("clang-format") is None, "clang-format is not installed")
    def test_formatting_differs_where_clang_format_would_change(self):
        shutil.copy(".clang-format", self.root)
        self.assertEqual(self.found(rules.formatting, {"common/a.cc": "int a;\nint  b;\n"}),
                         [("common/a.cc", 2)])

    def test_tests_assert_something(self):
        text = """
TEST(A, Nothing) { Run("EXPECT_EQ(1, 1)"); }
TEST_F(A, Helper) { ExpectSame(1, 2); }
TEST_F(A, Skips) {
  // EXPECT_TRUE(true);
  GTEST_SKIP();
}
TEST(A, Fails) { FAIL() << "here"; }
"""
        self.assertEqual(self.found(rules.tests_assert, {"tests/common/a_test.cc": text}),
                         [("tests/common/a_test.cc", 2), ("tests/common/a_test.cc", 4)])

    def test_environment_is_read_in_one_place(self):
        text = 'const char* a = std::getenv("HOME");  // getenv\n'
        self.assertEqual(self.found(rules.environment, {"common/config/a.cc": text,
                                                        "cli/a.cc": text}), [("cli/a.cc", 1)])

    def test_using_namespace_is_found(self):
        self.assertEqual(
            self.found(rules.using_namespace, {"cli/a.cc": "using A = int;\nusing  namespace b;"}),
            [("cli/a.cc", 2)])

    def test_no_sleep_but_in_system_tests(self):
        text = "void F() { std::this_thread::sleep_for(a); }\n"
        self.assertEqual(self.found(rules.no_sleep, {"tests/system/a.cc": text, "cli/a.cc": text,
                                                     "tests/cli/a.cc": text}),
                         [("tests/cli/a.cc", 1)])

    def test_macros_are_two(self):
        text = "#define SM_ASSERT(x) x\n#  define LIMIT 5\n"
        self.assertEqual(self.found(rules.macros, {"cli/a.h": text}), [("cli/a.h", 2)])

    def test_unfinished_work_is_found(self):
        note = "TO" + "DO"
        self.assertEqual(self.found(rules.unfinished, {"cli/a.cc": f"\n// {note}: more\n"}),
                         [("cli/a.cc", 2)])

    def test_a_tree_has_no_folders_that_a_build_made(self):
        files = {"bazel-out/a.cc": "", "runs/a.cc": "", ".git/a.cc": "", "cli/runs/b.cc": ""}
        self.found(rules.file_length, files)
        paths = set(source.Tree(self.root).sources)
        self.assertEqual(paths - set(CLEAN), {"cli/runs/b.cc"})


if __name__ == "__main__":
    unittest.main()
