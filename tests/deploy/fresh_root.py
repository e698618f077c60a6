"""A root to install into that is this machine's with a layer of its own above: its packages are
installed there, nothing that is done in it stays, and the tree is not to be seen. Wants the
namespaces of node.py."""

import os
import pathlib
import shlex
import stat
import subprocess
import tempfile

import node
import render


# The devices that programs may count on, by their numbers in Linux.
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}

TIMEOUT = 300  # On a machine that is busy.


class FreshRoot:
    """Nothing of this machine's that could be written to is mounted in it, /dev neither, for
    whoever removes files in it must not reach farther."""

    def __init__(self):
        """Raises CalledProcessError where this machine cannot lay one root over another."""
        self.layer = pathlib.Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"]))
        self.at = self.layer / "root"
        node.run("ip", "link", "set", "lo", "up")
        node.run("mount", "--make-rprivate", "/")
        node.run("mount", "-t", "tmpfs", "layer", self.layer)
        for name in ("upper", "work", "root"):
            (self.layer / name).mkdir()
        node.run("mount", "-t", "overlay", "overlay", "-o",
                 f"lowerdir=/,upperdir={self.layer}/upper,workdir={self.layer}/work", self.at)
        for kind, place in (("proc", "/proc"), ("tmpfs", "/dev"), ("tmpfs", "/run"),
                            ("tmpfs", "/tmp"), ("tmpfs", str(render.find_root()))):
            self.path(place).mkdir(parents=True, exist_ok=True)
            node.run("mount", "-t", kind, kind, self.path(place))
        for name, numbers in DEVICES.items():
            os.mknod(self.path(f"/dev/{name}"), stat.S_IFCHR, os.makedev(*numbers))
            self.path(f"/dev/{name}").chmod(0o666)
        self.path("/dev/fd").symlink_to("/proc/self/fd")

    def close(self):
        """Unmounts, and then removes a folder that must be empty."""
        node.run("umount", "--recursive", "--lazy", self.layer)
        self.layer.rmdir()

    def path(self, inside):
        return self.at / inside.lstrip("/")

    def run(self, *words, folder="/"):
        """Exit code, and what it said. What it leaves running is not waited for."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            done = subprocess.run(self._words(words, folder), check=False, timeout=TIMEOUT,
                                  env=self._environment(), stdout=said, stderr=said)
            said.seek(0)
            return done.returncode, said.read()

    def start(self, *words, folder="/", user=None, log=None):
        with open(log, "w", encoding="utf-8") as to:
            return subprocess.Popen(self._words(words, folder, user), env=self._environment(),
                                    stdout=to, stderr=to)

    def start_unit(self, unit, instance, log):
        """The unit's process: its command, user, folder and variables, as systemd starts it."""
        settings = {}
        for line in self.path(f"/lib/systemd/system/{unit}").read_text().splitlines():
            key, separator, value = line.partition("=")
            if separator and not line.startswith("#"):
                settings[key] = value.replace("%i", instance).replace("%S", "/var/lib")
        state, user = settings["WorkingDirectory"], settings["User"]
        assert state == "/var/lib/" + settings["StateDirectory"]
        assert self.run("install", "-d", f"--owner={user}", state)[0] == 0
        variables = shlex.quote(settings["EnvironmentFile"].lstrip("-"))
        return self.start("sh", "-c", f"set -a; . {variables}; exec {settings['ExecStart']}",
                          folder=state, user=user, log=log)

    def _words(self, words, folder, user=None):
        own = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        return ["/usr/sbin/chroot", str(self.at), "env", f"--chdir={folder}", *own,
                *(str(word) for word in words)]

    @staticmethod
    def _environment():
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive"}
