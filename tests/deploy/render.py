"""Renders the overlays of deploy/ with kubectl, where there is one that can."""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml

KUBECTL_MIN = (1, 27)  # The first whose kustomize knows all that the overlays say.


def find_root():
    """The tree that this run's WORKSPACE is a link to: kustomize wants the files themselves."""
    return pathlib.Path(os.path.realpath("WORKSPACE")).parent


def overlays():
    return sorted(path.parent.name for path in
                  (find_root() / "deploy/overlays").glob("*/kustomization.yaml"))


@functools.cache
def why_not():
    """Why nothing can be rendered on this machine; empty: it can."""
    if shutil.which("kubectl") is None:
        return "kubectl is not installed"
    said = subprocess.run(["kubectl", "version", "--client", "--output=json"], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    version = json.loads(said or "{}").get("clientVersion", {}).get("gitVersion", "")
    numbers = re.match(r"v(\d+)\.(\d+)", version)
    if numbers and tuple(map(int, numbers.groups())) >= KUBECTL_MIN:
        return ""
    return f"kubectl is {version or 'of no version'}; wanted is 1.27 or newer"


def render(folder, tree=None):
    """The objects of a folder of deploy/, or of a copy of it."""
    reason = why_not()
    if reason:
        raise unittest.SkipTest(reason)
    path = (tree or find_root() / "deploy") / folder
    done = subprocess.run(["kubectl", "kustomize", str(path)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"{folder}: {done.stderr}")
    return list(yaml.safe_load_all(done.stdout))
