"""Runs pods as processes, each in a network namespace of its own behind one bridge, with its own
address, user, variables, volumes and a root that it cannot write to: what the kubelet does, as far
as processes see of it. Names are those of headless services, in a file of hosts."""

import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pods

NETWORK = "10.244.0"
# Waits until there is a network, mounts, and becomes the pod's process.
START = """
set -eu
read -r network_is_there
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  mount --rbind "$1" "$root$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro "$root$2"; fi
  shift 3
done
shift
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs /usr/sbin/chroot "$@"
"""


def enter_namespaces():
    """Begins this program anew where it may make networks; what it starts ends with it. Returns
    there, and where this machine does not let it."""
    if is_entered():
        return
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    words = ["unshare", *own, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*words, "true"], check=False).returncode == 0:
        os.environ["SHARDMILL_NODE"] = "as a user" if own else "as root"
        os.execvp("unshare", [*words, sys.executable, *sys.argv])


def is_entered():
    return "SHARDMILL_NODE" in os.environ


def changes_users():
    """Whether files and processes can be another user's: not where a user has mapped itself."""
    return os.environ["SHARDMILL_NODE"] == "as root"


def run(*words):
    subprocess.run([str(word) for word in words], check=True)


class Running:
    """A pod that was started."""

    def __init__(self, pod, address, process, log):
        self.pod = pod
        self.address = address
        self.process = process
        self.log = log

    def get(self, path):
        """Status and body of its page; status 0 where nobody answers."""
        (port,) = [port["containerPort"] for port in self.pod.container["ports"]
                   if port["name"] == "http"]
        try:
            with urllib.request.urlopen(f"http://{self.address}:{port}{path}", timeout=5) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def probe(self, name):
        """The status that the kubelet would see."""
        return self.get(self.pod.container[name]["httpGet"]["path"])[0]

    def words(self):
        return self.log.read_text(encoding="utf-8")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self):
        """As for a pod that is deleted. Returns the exit code, None beyond its grace period."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(self.pod.spec["terminationGracePeriodSeconds"])

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class Node:
    """Starts pods of `objects`. `image` is the root that the image has; `secrets` has files by the
    name of a Secret or a ConfigMap that was made by hand, `claims` folders by that of a claim whose
    contents are given."""

    _numbers = itertools.count(2)  # Never twice: the kernel may still tidy up behind a pod.

    def __init__(self, folder, objects, image, secrets, claims):
        self.folder, self.objects, self.image = pathlib.Path(folder), objects, image
        self.secrets, self.claims = secrets, claims
        self.running = []
        self.hosts = self.folder / "hosts"
        self.hosts.touch()
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "pods", "type", "bridge")
        run("ip", "address", "add", f"{NETWORK}.1/24", "dev", "pods")
        run("ip", "link", "set", "pods", "up")

    def close(self):
        for one in self.running:
            one.kill()
        run("ip", "link", "delete", "pods")

    def start(self, pod):
        """Also in the place of one of this name that has ended: at another address."""
        self.running = [one for one in self.running if one.process.poll() is None]
        number = next(self._numbers)
        address = f"{NETWORK}.{number}"
        home = self.folder / f"{number}-{pod.name}"
        log = home.with_suffix(".log")
        variables = pods.environment(pod, self.objects, address)
        with log.open("w") as to:
            process = subprocess.Popen(
                ["unshare", "--net", "--mount", "sh", "-c", START, "sh", home / "root",
                 *self._mounts(pod, home), "--", *self._user(pod), home / "root",
                 *pods.command(pod, variables)], env=variables,
                stdin=subprocess.PIPE, stdout=to, stderr=to, text=True)
        self._connect(process, number, address)
        started = Running(pod, address, process, log)
        self.running.append(started)
        self._write_hosts()
        process.stdin.write("now\n")
        process.stdin.close()
        return started

    def _connect(self, process, number, address):
        outside = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{process.pid}/ns/net") == outside:
            assert process.poll() is None, "unshare has failed"
        inside = ["nsenter", "--target", process.pid, "--net", "ip"]
        run("ip", "link", "add", f"pod{number}", "type", "veth",
            "peer", "name", "eth0", "netns", process.pid)
        run("ip", "link", "set", f"pod{number}", "master", "pods", "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "address", "add", f"{address}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")

    def _write_hosts(self):
        lines = []
        for one in self.running:
            for service in pods.of_kind(self.objects, "Service"):
                if one.pod.selected_by(service["spec"]["selector"]):
                    name = service["metadata"]["name"]
                    lines.append(f"{one.address} {name} {one.pod.name}.{name}\n")
            for job_set in pods.of_kind(self.objects, "JobSet"):
                subdomain = job_set["spec"]["network"]["subdomain"]
                lines.append(f"{one.address} {one.pod.name}.{subdomain}\n")
        self.hosts.write_text("".join(lines), encoding="utf-8")

    def _user(self, pod):
        if not changes_users():
            return []
        context = pod.spec["securityContext"]
        return [f"--userspec={context['runAsUser']}:{context['runAsGroup']}",
                f"--groups={context['fsGroup']}"]

    def _mounts(self, pod, home):
        """Words for START: what, where, and "ro" or "rw", three for each."""
        root = home / "root"
        shutil.copytree(self.image, root, symlinks=True, ignore=lambda _, names: {"usr"} & set(names))
        mounts = [(self.image / "usr", "/usr", "ro"), ("/dev", "/dev", "rw"),
                  ("/proc", "/proc", "rw"), (self.hosts, "/etc/hosts", "ro")]
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        for mount in pod.container["volumeMounts"]:
            source = self._volume(pod, mount["name"], volumes.get(mount["name"]), home)
            how = "ro" if mount.get("readOnly") else "rw"
            mounts.append((source / mount.get("subPath", ""), mount["mountPath"], how))
        for source, at, _ in mounts:
            place = root / at[1:]
            if pathlib.Path(source).is_dir():
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
        return [str(word) for mount in mounts for word in mount]

    def _volume(self, pod, name, volume, home):
        """The folder that a volume is."""
        group = pod.spec["securityContext"]["fsGroup"]
        if volume is None or "persistentVolumeClaim" in volume:
            claim = pod.claims[name] if volume is None else (
                volume["persistentVolumeClaim"]["claimName"])
            if claim in self.claims:
                return pathlib.Path(self.claims[claim])
            return self._shared_folder(self.folder / "claims" / claim, group)
        if "emptyDir" in volume:
            return self._shared_folder(home / name, group)
        source, mode = volume.get("configMap"), 0o644
        if source is None:
            source = {"name": volume["secret"]["secretName"]}
            mode = volume["secret"]["defaultMode"] | 0o040  # As fsGroup makes it.
        files = self.secrets.get(source["name"])
        if files is None:
            files = pods.named(self.objects, "ConfigMap", source["name"])["data"]
        items = volume.get("configMap", {}).get("items")
        if items:
            files = {item["path"]: files[item["key"]] for item in items}
        return self._files(home / name, files, mode, group)

    def _shared_folder(self, folder, group):
        folder.mkdir(parents=True, exist_ok=True)
        if changes_users():
            shutil.chown(folder, group=group)
        folder.chmod(0o2775)
        return folder

    def _files(self, folder, files, mode, group):
        """As the kubelet lays them out: links to a folder that can be changed as a whole."""
        (folder / "..1").mkdir(parents=True)
        (folder / "..data").symlink_to("..1")
        for name, text in files.items():
            path = folder / "..1" / name
            path.write_text(text, encoding="utf-8")
            path.chmod(mode)
            if changes_users():
                shutil.chown(path, group=group)
            (folder / name).symlink_to(f"..data/{name}")
        return folder
