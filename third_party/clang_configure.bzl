"""Repository rule for a second C++ toolchain: Clang's, which has libFuzzer.

It is looked at only where a build asks for it (--config=fuzz), and says then what is missing.
"""

load("@bazel_tools//tools/cpp:cc_configure.bzl", "cc_autoconf_impl")

def _impl(repository_ctx):
    clang = repository_ctx.which("clang")
    if not clang:
        fail("fuzzing takes Clang: apt-get install clang libclang-rt-14-dev")
    cc_autoconf_impl(repository_ctx, {"gcc": str(clang)})

clang_configure = repository_rule(
    implementation = _impl,
    local = True,
    configure = True,
    environ = ["PATH"],
)
