#!/usr/bin/env python3
"""Builds the image and runs a job in it, where a builder and a runtime are installed. The programs
are those of this build: the stage that makes them wants a base image from a registry."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # The tree stays as it was.
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import render  # noqa: E402
import report  # noqa: E402

NEEDED = ("buildah", "podman", "runc")
SIZE_MAX = 150_000_000
PROGRAMS = ("cli/shardmill", "server/shardmill-coordinator", "server/shardmill-ps",
            "worker/shardmill-worker")


def output(*words):
    done = subprocess.run([str(word) for word in words], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


class ImageTest(unittest.TestCase):
    def setUp(self):
        missing = [tool for tool in NEEDED if shutil.which(tool, path=os.environ["PATH"] + ":/sbin")
                   is None]
        if missing:
            self.skipTest(f"not installed: {', '.join(missing)}")
        if os.geteuid() != 0:
            self.skipTest("images are built as root alone here")
        # Paths of its sockets must be short.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="image"))
        # Podman may still tidy up behind a container.
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.storage = ("--root", self.folder / "images", "--runroot", self.folder / "run",
                        "--storage-driver", "vfs")
        self.build()

    def build(self):
        self.expect_done("deploy/make_root", self.folder / "root", *PROGRAMS)
        (self.folder / "Containerfile").write_text("FROM scratch\nCOPY root /image\n",
                                                   encoding="utf-8")
        build = ("buildah", *self.storage, "build", "--isolation", "chroot")
        self.expect_done(*build, "--tag", "programs", self.folder)
        self.expect_done(*build, "--build-arg", "PROGRAMS=localhost/programs", "--tag", "shardmill",
                         "--file", render.find_root() / "deploy/Containerfile", self.folder)

    def expect_done(self, *words):
        code, said = output(*words)
        self.assertEqual(code, 0, said)
        return said

    def run_in_it(self, *words):
        """As the manifests run it: nothing may be written but what is mounted."""
        return output(
            "podman", *self.storage, "--cgroup-manager", "cgroupfs", "--runtime", "runc", "run",
            "--rm", "--network", "none", "--read-only", "--read-only-tmpfs=false",
            "--cap-drop", "all", "--security-opt", "no-new-privileges",
            "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096",
            "--tmpfs", "/runs:mode=1777", "--volume", f"{render.find_root()}/configs:/configs:ro",
            "localhost/shardmill", *words)

    def test_a_job_runs_in_the_image(self):
        code, said = self.run_in_it("shardmill", "train", "/configs/fruit.toml", "--quiet",
                                    "--set", "job.runs=/runs",
                                    "--set", "data.train=/configs/fruit.csv")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"steps lost +0, duplicated 0")

        code, said = self.run_in_it("shardmill", "train", "/configs/fruit.toml",
                                    "--set", "job.runs=/elsewhere",
                                    "--set", "data.train=/configs/fruit.csv")
        self.assertNotEqual(code, 0)
        self.assertIn("Read-only file system", said)

        code, _ = self.run_in_it("sh", "-c", "true")
        self.assertEqual(code, 127)

        (image,) = json.loads(self.expect_done("podman", *self.storage, "inspect", "shardmill"))
        self.assertEqual(image["Config"]["User"], "65532:65532")
        self.assertLess(image["Size"], SIZE_MAX)


if __name__ == "__main__":
    report.main()
