#!/usr/bin/env python3
"""Makes the Debian packages, installs them, and does what a stranger does with them: serves a job
with the units' commands, and trains a program of its own that it has built with CMake, or with
pkg-config."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # The tree stays as it was.
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import fresh_root  # noqa: E402
import node  # noqa: E402
import render  # noqa: E402
import report  # noqa: E402

NEEDED = ("dpkg-deb", "dpkg-gencontrol", "dpkg-gensymbols", "dpkg-shlibdeps", "g++")
PATIENCE = 120
# All of the API is in these. One more is one more promise.
HEADERS = ["client/session.h", "client/types.h", "common/assert.h", "common/data_range.h",
           "common/initial.h", "common/result.h", "common/update.h", "common/version.h"]


def output(*words):
    return subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE,
                          text=True).stdout


class PackagesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [tool for tool in NEEDED if shutil.which(tool) is None]
        if missing:
            raise unittest.SkipTest(f"not installed: {', '.join(missing)}")
        cls.folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"]))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        output("deploy/debian/build", ".", cls.folder / "debs")
        cls.debs = sorted((cls.folder / "debs").iterdir())
        for deb in cls.debs:
            output("dpkg-deb", "-x", deb, cls.folder / "unpacked")
        cls.usr = cls.folder / "unpacked/usr"

    def test_the_same_files_make_the_same_packages(self):
        output("deploy/debian/build", ".", self.folder / "again")
        self.assertEqual(len(self.debs), 3)
        for deb in self.debs:
            self.assertEqual(deb.read_bytes(), (self.folder / "again" / deb.name).read_bytes())

    def test_lintian_has_nothing_to_say(self):
        if shutil.which("lintian") is None:
            self.skipTest("not installed: lintian")
        output("lintian", "--fail-on", "error,warning", *self.debs)

    def test_the_manual_has_a_page_for_each_program_and_one_for_job_files(self):
        if shutil.which("man") is None:
            self.skipTest("not installed: man-db")
        for program in (self.usr / "bin").iterdir():
            page = self.page(f"man1/{program.name}.1.gz")
            for option in set(re.findall(r"--[a-z-]+", output(program, "--help"))) - {"--help"}:
                self.assertIn(option, page)
        self.assertIn("shardmill keys revoke [OPTIONS] NAME", self.page("man1/shardmill.1.gz"))
        keys = {line.split()[0] for line in self.page("man5/shardmill-job.5.gz").splitlines() if line}
        declared = re.findall(r"^\| `(\w+)`", pathlib.Path(render.find_root(), "docs/config.md")
                              .read_text(encoding="utf-8"), re.MULTILINE)
        self.assertGreater(len(declared), 100)
        self.assertEqual(set(declared) - keys, set())

    def page(self, name):
        """As man shows it, without a warning."""
        done = subprocess.run(["man", "--warnings", "--encoding=ascii", "-l",
                               self.usr / "share/man" / name], env=os.environ | {"MANWIDTH": "500"},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def test_units_start_nothing_again_that_would_only_fail_again(self):
        page = (self.usr / "share/doc/shardmill/operations.md").read_text(encoding="utf-8")
        codes = re.findall(r"^\| (\d+) \| [^|]* \| (?:look first|no\b)", page, re.MULTILINE)
        self.assertEqual(codes, ["1", "2", "3", "5"])
        for unit in (self.usr.parent / "lib/systemd/system").glob("*.service"):
            with self.subTest(unit.name):
                self.assertIn(f"\nRestartPreventExitStatus={' '.join(codes)}\n", unit.read_text())

    def test_each_installed_header_compiles_alone(self):
        root = self.usr / "include/shardmill"
        self.assertEqual(sorted(str(path.relative_to(root)) for path in root.rglob("*.h")), HEADERS)
        for header in HEADERS:
            with self.subTest(header):
                output("g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic",
                       "-Werror", "-I", self.usr / "include", "-include", f"shardmill/{header}",
                       "-x", "c++", "/dev/null")

    def test_the_library_exports_what_the_headers_declare(self):
        (library,) = self.usr.glob("lib/*/libshardmill.so.1")
        self.assertIn("[libshardmill.so.1]", output("readelf", "--dynamic", library))
        exported = output("nm", "--dynamic", "--defined-only", "--demangle", library).splitlines()
        names = {re.sub(r"^[0-9a-f]* \w |\(.*|@.*", "", line) for line in exported}
        names.discard("SHARDMILL_1")  # The version's own.
        declared = set(re.findall(r"operator=|~?\w+", "".join(
            (self.usr / "include/shardmill" / header).read_text() for header in HEADERS)))
        self.assertIn("shardmill::Session::Open", names)
        for name in names:
            space, *parts = name.split("::")
            self.assertEqual((space, set(parts) - declared), ("shardmill", set()), name)

    def test_strangers_train_with_what_was_installed(self):
        root = self.make_root()
        install, with_cmake, with_pkg_config, by_hand = self.commands()
        self.do(root, install, "/mnt")
        self.do(root, """
            dpkg --verify shardmill libshardmill1 libshardmill-dev
            systemd-analyze verify --man=no shardmill-coordinator.service shardmill-server@0.service
            systemd-analyze security --offline=true --threshold=20 shardmill-coordinator.service \\
              shardmill-server@0.service  # Of 100.
            shardmill config print /etc/shardmill/job.toml
            cp -r /mnt/own_model /mnt/plain""")

        self.do(root, with_cmake, "/mnt/own_model")
        self.expect_shared(root, "/mnt/own_model/own_model")
        self.train_as_services(root, "/mnt/own_model/own_model")

        self.do(root, with_pkg_config, "/mnt/plain")
        self.expect_shared(root, "/mnt/plain/own_model")
        said = self.do(root, f"trap 'kill $(jobs -p)' EXIT\n{by_hand}wait $!", "/mnt/plain")
        self.expect_found(said, workers=2)

        self.do(root, "dpkg --purge shardmill libshardmill-dev libshardmill1")
        for place in ("etc", "lib/systemd", "usr/bin", "usr/include", "usr/lib", "usr/share"):
            self.assertEqual(list(root.path(place).rglob("*shardmill*")), [])

    def commands(self):
        """Those of the page that is installed."""
        page = (self.usr / "share/doc/libshardmill-dev/api.md").read_text(encoding="utf-8")
        return re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)

    def do(self, root, commands, folder="/"):
        code, said = root.run("bash", "-eux", "-o", "pipefail", "-c", commands, folder=folder)
        self.assertEqual(code, 0, said)
        return said

    def expect_shared(self, root, program):
        self.assertRegex(self.do(root, f"ldd {program}"), r"libshardmill\.so\.1 => (/usr)?/lib/")

    def expect_found(self, said, workers):
        """Each worker has printed its four weights, and what they should be."""
        found = re.findall(r"^(-?[\d.]+) \((-?[\d.]+)\)$", said, re.MULTILINE)
        self.assertEqual(len(found), 4 * workers, said)
        for weight, hidden in found:
            self.assertAlmostEqual(float(weight), float(hidden), delta=0.02)

    def make_root(self):
        if not node.is_entered() or not node.changes_users():
            self.skipTest("this machine does not let this user install packages in a root apart")
        try:
            root = fresh_root.FreshRoot()
        except subprocess.CalledProcessError as error:
            self.skipTest(f"this machine cannot lay one root over another: {error}")
        self.addCleanup(root.close)
        absent = [tool for tool in ("cmake", "make", "pkg-config", "systemd-analyze")
                  if root.run("which", tool)[0] != 0]
        if absent:
            self.skipTest(f"not installed: {', '.join(absent)}")
        root.path("/etc/dpkg/dpkg.cfg.d/documented").write_text(
            "path-include=/usr/share/doc/*\npath-include=/usr/share/man/*\n")
        for deb in self.debs:
            shutil.copy(deb, root.path("/mnt"))
        return root

    def train_as_services(self, root, program):
        """A whole job of two workers, on what the units start."""
        logs = [self.folder / name for name in ("coordinator", "server", "first", "second")]
        daemons = [root.start_unit("shardmill-coordinator.service", "", logs[0]),
                   root.start_unit("shardmill-server@.service", "0", logs[1])]
        workers = [root.start(program, "127.0.0.1:7700", str(rank), log=logs[2 + rank])
                   for rank in (0, 1)]
        said = ""
        try:
            codes = [worker.wait(PATIENCE) for worker in workers]
        finally:
            for daemon in reversed(daemons):
                daemon.terminate()
            codes += [daemon.wait(PATIENCE) for daemon in daemons]
            said = "\n".join(f"--- {log.name}\n{log.read_text()}" for log in logs)
        self.assertEqual(codes, [0] * 4, said)
        self.expect_found("".join(log.read_text() for log in logs[2:]), workers=2)


if __name__ == "__main__":
    node.enter_namespaces()
    report.main()
