#!/usr/bin/env python3
"""Tests what the overlays of deploy/ render to."""

import copy
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import unittest

import yaml

sys.dont_write_bytecode = True  # The tree stays as it was.
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import models  # noqa: E402
import pods  # noqa: E402
import render  # noqa: E402
import report  # noqa: E402

ADDRESS = "10.1.2.3"
# Made by hand, as docs/kubernetes.md says.
MADE_BY_HAND = {"shardmill-public", "shardmill-coordinator", "shardmill-server",
                "shardmill-worker"}
SETTINGS = {}
rendered = functools.cache(lambda overlay: render.render(f"overlays/{overlay}"))


def seconds(text):
    """Of "1m30s"."""
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    total, number = 0, ""
    for character in text:
        if character in units:
            total, number = total + int(number) * units[character], ""
        else:
            number += character
    return total


def settings(overlay, pod):
    """What the pod's process makes of its job file and its variables."""
    if (overlay, pod.role) not in SETTINGS:
        SETTINGS[overlay, pod.role] = _settings(rendered(overlay), pod)
    return SETTINGS[overlay, pod.role]


def _settings(objects, pod):
    variables = pods.environment(pod, objects, ADDRESS)
    (job,) = [volume for volume in pod.spec["volumes"] if volume["name"] == "job"]
    data = pods.named(objects, "ConfigMap", job["configMap"]["name"])["data"]
    key = job["configMap"].get("items", [{"key": "job.toml"}])[0]["key"]
    path = pathlib.Path(os.environ["TEST_TMPDIR"]) / "job.toml"
    path.write_text(data[key], encoding="utf-8")
    done = subprocess.run(["cli/shardmill", "config", "print", path], env=variables, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    return tomllib.loads(done.stdout)


def discovered(pod, port, phase):
    """A target as Prometheus knows it from a cluster."""
    return {"targets": [f"{ADDRESS}:{port['containerPort']}"],
            "labels": {f"__meta_kubernetes_{name}": value for name, value in {
                "namespace": "shardmill", "pod_name": pod.name, "pod_phase": phase,
                "pod_container_port_name": port["name"]}.items()}}


def discover(config):
    """What a Prometheus scrapes."""
    path = pathlib.Path(os.environ["TEST_TMPDIR"]) / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "service-discovery", "--timeout=1s", path,
                           "shardmill"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


class ManifestsTest(unittest.TestCase):
    def each(self):
        for overlay in render.overlays():
            print(f"\n  {overlay}", end="", flush=True)
            yield overlay

    def each_pod(self):
        for overlay in self.each():
            made = pods.make_pods(rendered(overlay))
            self.assertEqual({pod.role for pod in made}, {"coordinator", "server", "worker"})
            for pod in made:
                print(f" {pod.name}", end="", flush=True)
                yield overlay, pod

    def test_each_object_is_what_kubernetes_takes(self):
        for overlay in self.each():
            for it in rendered(overlay):
                models.check_object(it)

    def test_an_object_with_a_mistake_is_found(self):
        objects = rendered("replicated")
        job = pods.named(objects, "Job", "shardmill-worker")
        job_set = pods.named(rendered("jobset"), "JobSet", "shardmill")
        rule = ["spec", "podFailurePolicy", "rules", 1]
        container = ["spec", "template", "spec", "containers", 0]
        for it, path, value, words in (
                (job, [*container, "argz"], [], "field of V1Container"),
                (job, [*container, "args"], "--rank=0", "wanted a list"),
                (job, [*container, "ports", 0, "containerPort"], "http", "wanted int"),
                (job, [*container, "resources", "limits", "memory"], 4, "wanted str"),
                (job, ["spec", "parallelism"], True, "wanted int"),
                (job, ["spec", "template"], None, "wanted V1PodTemplateSpec"),
                (job, [*rule, "onExitCodes", "values"], ["3"], "wanted int"),
                (job, [*rule, "onExit"], {}, "field of PodFailureRule"),
                (job, [*rule], {}, "also ['action']"),
                (job, ["kind"], "Jib", "kind that is known"),
                (job_set, ["spec", "replicatedJobs", 0, "template", "spec", "completions"], "1",
                 "wanted int")):
            with self.subTest(words, path=path):
                wrong = copy.deepcopy(it)
                functools.reduce(lambda at, step: at[step], path[:-1], wrong)[path[-1]] = value
                with self.assertRaises(models.Wrong) as raised:
                    models.check_object(wrong)
                self.assertIn(words, str(raised.exception))

    def test_a_container_without_a_name_is_found(self):
        wrong = copy.deepcopy(pods.named(rendered("replicated"), "Job", "shardmill-worker"))
        del wrong["spec"]["template"]["spec"]["containers"][0]["name"]
        with self.assertRaises(models.Wrong):
            models.check_object(wrong)

    def test_pods_are_restricted(self):
        for _, pod in self.each_pod():
            self.assertFalse(pod.spec["enableServiceLinks"])
            self.assertFalse(pod.spec["automountServiceAccountToken"])
            self.assertLessEqual({"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 65532,
                                  "seccompProfile": {"type": "RuntimeDefault"}}.items(),
                                 pod.spec["securityContext"].items())
            self.assertEqual(pod.container["securityContext"],
                             {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                              "capabilities": {"drop": ["ALL"]}})
            self.assertLessEqual({"cpu", "memory"}, pod.container["resources"]["requests"].keys())
            self.assertIn("memory", pod.container["resources"]["limits"])
            self.assertIn("livenessProbe", pod.container)
        for overlay in self.each():
            (namespace,) = pods.of_kind(rendered(overlay), "Namespace")
            self.assertEqual(
                namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
                "restricted")

    def test_an_image_that_was_loaded_is_used(self):
        # By itself Kubernetes asks a registry for what is tagged "latest".
        for _, pod in self.each_pod():
            self.assertEqual(pod.container["imagePullPolicy"], "IfNotPresent")

    def test_budgets_are_such_as_the_pods_owners_can_have(self):
        for overlay in self.each():
            servers = [pod for pod in pods.make_pods(rendered(overlay)) if pod.role == "server"]
            (budget,) = pods.of_kind(rendered(overlay), "PodDisruptionBudget")
            if servers[0].job_index is None:
                self.assertEqual(budget["spec"]["maxUnavailable"], 1)
            else:  # How many there should be, the owner cannot say.
                self.assertNotIn("maxUnavailable", budget["spec"])
                self.assertEqual(budget["spec"]["minAvailable"], len(servers) - 1)

    def test_who_is_told_to_stop_in_a_job_is_started_again(self):
        for overlay in self.each():
            for it in pods.of_kind(rendered(overlay), "JobSet"):
                for job in it["spec"]["replicatedJobs"]:
                    if job["name"] == "worker":
                        continue  # It says by itself whether it has made all its steps.
                    spec = job["template"]["spec"]
                    (container,) = spec["template"]["spec"]["containers"]
                    (code,) = [int(word.partition("=")[2]) for word in container["args"]
                               if word.startswith("--stopped-code=")]
                    self.assertNotEqual(code, 0)
                    ignored, failed = spec["podFailurePolicy"]["rules"]
                    self.assertEqual(ignored["action"], "Ignore")
                    self.assertEqual(failed["onExitCodes"]["containerName"], container["name"])
                    self.assertNotIn(code, failed["onExitCodes"]["values"])
                    self.assertEqual(spec["template"]["spec"]["restartPolicy"], "Never")

    def test_a_next_job_finds_data_and_snapshots_of_the_last(self):
        docs = (render.find_root() / "docs/kubernetes.md").read_text(encoding="utf-8")
        kinds, name, value = re.search(r"delete ([a-z,]+) -l (\S+)=(\w+)`", docs).groups()
        for overlay in self.each():
            deleted = {it["metadata"]["name"] for it in rendered(overlay)
                       if it["kind"].lower() in kinds.split(",")
                       and it["metadata"]["labels"][name] == value}
            if overlay != "jobset":
                self.assertEqual(deleted, {"shardmill-coordinator", "shardmill-server",
                                           "shardmill-worker"})
            self.assertNotIn("shardmill-snapshots", deleted)

    def test_the_pod_that_fills_the_claim_is_as_restricted_and_writes_there(self):
        (fill,) = yaml.safe_load_all(
            (render.find_root() / "deploy/fill.yaml").read_text(encoding="utf-8"))
        models.check_object(fill)
        worker = [pod for pod in pods.make_pods(rendered("replicated")) if pod.role == "worker"][0]
        (container,) = fill["spec"]["containers"]
        self.assertEqual(container["securityContext"], worker.container["securityContext"])
        self.assertLessEqual(fill["spec"]["securityContext"].items(),
                             worker.spec["securityContext"].items())
        claims = [volume["persistentVolumeClaim"]["claimName"]
                  for volume in fill["spec"]["volumes"]]
        self.assertEqual(claims, ["shardmill-data"])
        self.assertIn(claims[0], [volume.get("persistentVolumeClaim", {}).get("claimName")
                                  for volume in worker.spec["volumes"]])

    def test_a_prometheus_of_the_cluster_finds_each_page_under_its_job(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed (prometheus)")
        text = (render.find_root() / "deploy/monitoring/kubernetes.yaml").read_text(
            encoding="utf-8")
        for overlay in self.each():
            made = pods.make_pods(rendered(overlay))
            config = yaml.safe_load(text)
            (scrape,) = config["scrape_configs"]
            (find,) = scrape.pop("kubernetes_sd_configs")
            (selector,) = find["selectors"]
            name, value = selector["label"].split("=")
            self.assertTrue(all(pod.selected_by({name: value}) for pod in made))
            scrape["static_configs"] = [discovered(pod, port, phase) for pod in made
                                        for port in pod.container["ports"]
                                        for phase in ("Running", "Succeeded")]
            found = [target["labels"] for target in discover({"scrape_configs": [scrape]})]
            self.assertEqual(
                sorted((one["job"], one["instance"], one["__address__"]) for one in found if one),
                sorted(("shardmill", pod.name, f"{ADDRESS}:7780") for pod in made))

    def test_what_a_pod_names_is_there(self):
        for overlay, pod in self.each_pod():
            there = {kind: {it["metadata"]["name"]
                            for it in pods.of_kind(rendered(overlay), kind)}
                     for kind in ("ConfigMap", "PersistentVolumeClaim")}
            volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
            for volume in volumes.values():
                wanted = volume.get("configMap", {}).get("name")
                self.assertIn(wanted, there["ConfigMap"] | MADE_BY_HAND | {None})
                self.assertIn(volume.get("secret", {}).get("secretName"), MADE_BY_HAND | {None})
                claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                self.assertIn(claim, there["PersistentVolumeClaim"] | {None})
            mounted = {mount["name"] for mount in pod.container["volumeMounts"]}
            self.assertEqual(mounted, volumes.keys() | pod.claims.keys())

    def test_a_pod_has_no_secret_but_its_own(self):
        for _, pod in self.each_pod():
            for volume in pod.spec["volumes"]:
                if "secret" in volume:
                    self.assertEqual(volume["secret"]["secretName"], f"shardmill-{pod.role}")

    def test_there_are_as_many_pods_as_the_job_has_processes(self):
        for overlay, pod in self.each_pod():
            cluster = settings(overlay, pod)["cluster"]
            made = [one.role for one in pods.make_pods(rendered(overlay))]
            self.assertEqual(made.count("coordinator"), 1)
            self.assertEqual(made.count("server"), cluster["servers"])
            self.assertEqual(made.count("worker"), cluster["workers"])

    def test_a_server_leaves_within_its_grace_period(self):
        for overlay, pod in self.each_pod():
            if pod.role == "server":
                leave = seconds(settings(overlay, pod)["cluster"]["leave_timeout"])
                self.assertLess(leave + 10, pod.spec["terminationGracePeriodSeconds"])

    def test_policies_open_the_ports_that_processes_listen_at(self):
        for overlay, pod in self.each_pod():
            if pod.role == "worker":
                continue
            policy = pods.named(rendered(overlay), "NetworkPolicy", f"shardmill-{pod.role}")
            self.assertTrue(pod.selected_by(policy["spec"]["podSelector"]["matchLabels"]))
            ((port,),) = [rule["ports"] for rule in policy["spec"]["ingress"]]
            opened = range(port["port"], port.get("endPort", port["port"]) + 1)
            job = settings(overlay, pod)
            if pod.role == "coordinator":
                first, count = int(job["cluster"]["coordinator"].rsplit(":", 1)[1]), 1
            else:
                first = job["cluster"]["server_port"]
                count = job["cluster"]["shards_per_server"] * (1 + job["replication"]["replicas"])
            self.assertIn(first, opened)
            self.assertIn(first + count - 1, opened)

    def test_selectors_find_the_pods_that_they_are_for(self):
        for overlay in self.each():
            made = pods.make_pods(rendered(overlay))
            for it in pods.of_kind(rendered(overlay), "Service", "PodDisruptionBudget", "StatefulSet"):
                labels = it["spec"]["selector"].get("matchLabels", it["spec"]["selector"])
                found = {pod.role for pod in made if pod.selected_by(labels)}
                self.assertEqual(found, {it["metadata"]["name"].removeprefix("shardmill-")})

    def test_the_overlay_that_the_docs_show_renders(self):
        tree = pathlib.Path(os.environ["TEST_TMPDIR"]) / "tree"
        shutil.copytree(render.find_root() / "deploy", tree)
        self.addCleanup(shutil.rmtree, tree)
        (tree / "overlays/mine").mkdir()
        docs = (render.find_root() / "docs/kubernetes.md").read_text(encoding="utf-8")
        (tree / "overlays/mine/kustomization.yaml").write_text(
            re.search(r"```yaml\n(.*?)```", docs, re.DOTALL).group(1), encoding="utf-8")
        job = '[job]\nname = "mine"\n[cluster]\nservers = 5\nworkers = 8\n'
        (tree / "overlays/mine/job.toml").write_text(job, encoding="utf-8")
        objects = render.render("overlays/mine", tree)
        made = pods.make_pods(objects)
        for it in objects:
            models.check_object(it)
            self.assertIn("my-job", (it["metadata"].get("namespace"), it["metadata"]["name"]))
        for pod in made:
            self.assertEqual(pod.container["image"], "registry.example.org/shardmill:0.1")
            found = _settings(objects, pod)
            self.assertEqual(found["job"]["name"], "mine")
            self.assertEqual(found["replication"]["replicas"], 2)
            self.assertEqual(found["cluster"][f"{pod.role}s"] if pod.role != "coordinator" else 1,
                             [one.role for one in made].count(pod.role))

    def test_replicas_are_on_nodes_of_their_own(self):
        for pod in pods.make_pods(rendered("replicated")):
            if pod.role == "server":
                (term,) = pod.spec["affinity"]["podAntiAffinity"][
                    "requiredDuringSchedulingIgnoredDuringExecution"]
                self.assertEqual(term["topologyKey"], "kubernetes.io/hostname")
                self.assertTrue(pod.selected_by(term["labelSelector"]["matchLabels"]))


if __name__ == "__main__":
    report.main()
