"""The rules that every BUILD file here uses: cc_* with this project's warnings."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")

COPTS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wshadow",
    "-Wconversion",
    "-Wno-sign-conversion",
    # False alarms of GCC 12, on concatenated strings and on optionals in initializer lists.
    "-Wno-restrict",
    "-Wno-maybe-uninitialized",
    "-Werror",
]

def shardmill_library(name, copts = [], **kwargs):
    cc_library(name = name, copts = COPTS + copts, **kwargs)

def shardmill_mutable_library(name, deps = [], mutable_deps = [], **kwargs):
    """A library and its twin `name`_mutable, in which tests can switch on known bugs.

    Args:
      name: target name.
      deps: dependencies of both.
      mutable_deps: dependencies that have such a twin themselves.
      **kwargs: as of shardmill_library.
    """
    shardmill_library(name = name, deps = deps + mutable_deps, **kwargs)
    shardmill_library(
        name = name + "_mutable",
        testonly = True,
        defines = ["SHARDMILL_MUTATIONS"],
        deps = deps + [dep + "_mutable" for dep in mutable_deps],
        **kwargs
    )

def shardmill_binary(name, copts = [], deps = [], **kwargs):
    cc_binary(
        name = name,
        copts = COPTS + copts,
        deps = deps + ["//tools:sanitizer_options"],
        **kwargs
    )

def shardmill_test(name, copts = [], deps = [], **kwargs):
    cc_test(
        name = name,
        copts = COPTS + copts,
        deps = deps + [
            "//tools:sanitizer_options",
            "@system//:gtest",
            "@system//:gtest_main",
        ],
        **kwargs
    )

def shardmill_fuzz_test(name, copts = [], deps = [], args = [], **kwargs):
    """A fuzz target: see tests/fuzz/target.h.

    A test as any other tries seeds and mutations of them by chance; with --config=fuzz it is a
    libFuzzer's for some seconds, and a program to run for longer.

    Args:
      name: target name.
      copts: as of shardmill_test.
      deps: dependencies.
      args: as of shardmill_test.
      **kwargs: as of cc_test.
    """
    cc_test(
        name = name,
        copts = COPTS + copts,
        args = args + select({
            "//tests/fuzz:libfuzzer": ["--inputs", "1000000000", "--seconds", "3"],
            "//conditions:default": [],
        }),
        linkopts = select({
            "//tests/fuzz:libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        # One file, to be copied and run for long.
        linkstatic = True,
        deps = deps + ["//tools:sanitizer_options"],
        **kwargs
    )
