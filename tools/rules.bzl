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
