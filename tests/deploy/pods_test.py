#!/usr/bin/env python3
"""Runs what the overlays say as real processes, and does to them what clusters do to pods."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True  # The tree stays as it was.
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import node  # noqa: E402
import pods  # noqa: E402
import render  # noqa: E402
import report  # noqa: E402

ROWS = "/usr/share/datasets/fashion-mnist"
PATIENCE = 150  # On a machine that is busy with other tests.
FOUND_WITHIN = 60  # Half of what a system waits for a connection to where nobody is.


def make_folder(add_cleanup):
    folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"]))
    add_cleanup(shutil.rmtree, folder)
    return folder


class PodsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.image = make_folder(cls.addClassCleanup) / "image"
        subprocess.run(["deploy/make_root", cls.image, "server/shardmill-coordinator",
                        "server/shardmill-ps", "worker/shardmill-worker"], check=True)

    def setUp(self):
        if not node.is_entered():
            self.skipTest("this machine lets nobody make a network namespace (see above)")
        self.folder = make_folder(self.addCleanup)

    def begin(self, overlay, **settings):
        self.began = time.monotonic()
        self.objects = render.render(f"overlays/{overlay}")
        for it in pods.of_kind(self.objects, "ConfigMap"):
            if it["metadata"]["name"].startswith("shardmill-places"):
                it["data"] |= {f"SHARDMILL__{key}": value for key, value in settings.items()}
        self.node = node.Node(self.folder, self.objects, self.image, self.keys(),
                              {"shardmill-data": ROWS})
        self.addCleanup(self.node.close)
        self.pods = {pod.name: pod for pod in pods.make_pods(self.objects)}

    def said(self):
        """What each pod has said last, and the coordinator of the job."""
        pages = "".join(one.get("/status")[1] for one in self.node.running
                        if one.pod.role == "coordinator")
        return pages + "".join(f"\n--- {log.stem}\n" + "\n".join(
            log.read_text(encoding="utf-8").splitlines()[-12:])
                       for log in sorted(self.folder.glob("*.log")))

    def skip_without_rows(self):
        if not os.path.isdir(ROWS):
            self.skipTest(f"{ROWS} is not installed (dataset-fashion-mnist)")

    def keys(self):
        """As docs/kubernetes.md says how to make them."""
        folder = self.folder / "keys"
        subprocess.run(["cli/shardmill", "keys", "gen", "--folder", folder], check=True,
                       stdout=subprocess.DEVNULL)
        files = {"shardmill-public": {path.name: path.read_text(encoding="utf-8")
                                      for path in (folder / "public").iterdir()}}
        for role in ("coordinator", "server", "worker"):
            path = folder / "secret" / f"{role}.key"
            files[f"shardmill-{role}"] = {path.name: path.read_text(encoding="utf-8")}
        return files

    def start(self, *names):
        return [self.node.start(self.pods[name]) for name in names]

    def start_role(self, role):
        return self.start(*(name for name, pod in self.pods.items() if pod.role == role))

    def wait_for(self, words, holds, patience=PATIENCE):
        end = time.monotonic() + patience
        while not holds():
            ended = [one for one in self.node.running if one.process.poll()]
            if ended or time.monotonic() > end:
                self.fail(f"waited in vain: {words}{self.said()}")
            time.sleep(0.05)
        print(f"{time.monotonic() - self.began:6.1f} s: {words}", flush=True)

    def wait_until_ready(self, words, running):
        self.wait_for(words, lambda: all(one.probe("readinessProbe") == 200 for one in running))

    def status(self, coordinator):
        return json.loads(coordinator.get("/status")[1] or "{}")

    def least_step(self, coordinator):
        return min((worker["step"] for worker in self.status(coordinator).get("workers", [])),
                   default=0)

    def move(self, coordinator):
        """It is lost, and made again elsewhere."""
        moved = self.node.start(coordinator.pod)
        self.wait_for("all have found the coordinator at another address", lambda: all(
            shard["version"] > 0 for shard in self.status(moved).get("shards", [{"version": 0}])),
                      FOUND_WITHIN)
        return moved

    def end(self, coordinator, servers, workers, stopped_code=0):
        for worker in workers:
            self.assertEqual(worker.wait(PATIENCE), 0, self.said())
        status = {}
        self.wait_for("the job is done", lambda: (
            status.update(self.status(coordinator)) or status.get("state") == "done"))
        self.assertEqual((status["audit"]["lost"], status["audit"]["duplicated"]), (0, 0))
        for one in [*servers, coordinator]:
            self.assertEqual(one.terminate(), stopped_code, one.words())
        return status

    def change_server_by_server(self, coordinator, servers):
        """As a StatefulSet does when its image has changed."""
        for i in reversed(range(len(servers))):
            step = self.least_step(coordinator)
            self.assertEqual(servers[i].terminate(), 0, servers[i].words())
            self.assertNotIn("shard_not_taken_over", servers[i].words())
            (servers[i],) = self.start(f"shardmill-server-{i}")
            self.wait_until_ready(f"server {i} is another, and ready", servers)
            step = min(step, self.least_step(coordinator))
            self.wait_for("steps go on", lambda: self.least_step(coordinator) > step)
        self.assertEqual(self.status(coordinator)["state"], "training")

    def test_the_replicated_job_survives_what_happens_to_its_pods(self):
        self.skip_without_rows()
        self.begin("replicated")
        # Nobody knows the coordinator's name yet.
        servers, workers = self.start_role("server"), self.start_role("worker")
        self.wait_for("all live", lambda: all(
            one.probe("livenessProbe") == 200 for one in servers + workers))
        self.assertEqual([one.probe("readinessProbe") for one in servers], [503] * 3)
        (coordinator,) = self.start_role("coordinator")
        self.wait_until_ready("all are ready", [coordinator, *servers])
        self.wait_for("steps are made", lambda: self.least_step(coordinator) > 50)

        servers[1].kill()
        (servers[1],) = self.start("shardmill-server-1")
        self.wait_until_ready("a killed server is back", servers)
        step = self.least_step(coordinator)
        self.wait_for("steps go on", lambda: self.least_step(coordinator) > step)

        coordinator.kill()
        coordinator = self.move(coordinator)

        workers[1].kill()
        (workers[1],) = self.start("shardmill-worker-1")
        self.assertNotEqual(self.status(coordinator)["state"], "done")
        status = self.end(coordinator, servers, workers)
        self.assertEqual(status["rollbacks"], 0)
        self.assertEqual({worker["acked"] for worker in status["workers"]}, {1407})

    def test_servers_are_changed_one_by_one_under_load_and_no_step_fails(self):
        self.skip_without_rows()
        self.begin("replicated", TRAIN__EPOCHS="10")  # Longer than the changes take, anywhere.
        (coordinator,) = self.start_role("coordinator")
        servers, workers = self.start_role("server"), self.start_role("worker")
        self.wait_until_ready("all are ready", [coordinator, *servers])
        self.wait_for("steps are made", lambda: self.least_step(coordinator) > 0)
        self.change_server_by_server(coordinator, servers)
        self.assertGreaterEqual(self.status(coordinator)["promotions"], 3)
        status = self.end(coordinator, servers, workers)
        self.assertEqual(status["rollbacks"], 0)
        self.assertEqual({worker["acked"] for worker in status["workers"]}, {4690})

    def test_without_replicas_each_server_that_is_changed_hands_its_shards_over(self):
        self.skip_without_rows()
        self.begin("monitoring", TRAIN__EPOCHS="10", SNAPSHOT__EVERY="1s")
        (coordinator,) = self.start_role("coordinator")
        servers, workers = self.start_role("server"), self.start_role("worker")
        self.wait_until_ready("all are ready", [coordinator, *servers])
        self.wait_for("a snapshot is there",
                      lambda: self.status(coordinator)["snapshots"]["number"] > 1)
        self.change_server_by_server(coordinator, servers)
        self.assertEqual(self.end(coordinator, servers, workers)["rollbacks"], 0)

    def test_who_is_started_again_after_the_job_has_nothing_to_do(self):
        self.skip_without_rows()
        self.begin("replicated", TRAIN__EPOCHS="1")
        (coordinator,) = self.start_role("coordinator")
        servers, workers = self.start_role("server"), self.start_role("worker")
        for worker in workers:
            self.assertEqual(worker.wait(PATIENCE), 0, self.said())
        self.assertEqual(servers[0].terminate(), 0, servers[0].words())
        (servers[0],) = self.start("shardmill-server-0")
        self.wait_until_ready("a server is ready again", servers)
        coordinator.kill()
        (coordinator,) = self.start("shardmill-coordinator-0")
        self.wait_until_ready("so is the coordinator", [coordinator])
        self.assertIn("\nshardmill_degraded_shards 0\n", coordinator.get("/metrics")[1])
        (worker,) = self.start("shardmill-worker-1")
        self.assertEqual(worker.wait(PATIENCE), 0, worker.words())
        self.end(coordinator, servers, [])

    def test_the_coordinator_of_a_failed_job_stays_and_says_why(self):
        self.skip_without_rows()
        self.begin("monitoring", SNAPSHOT__TO="")
        for it in pods.of_kind(self.objects, "ConfigMap"):
            if "job.toml" in it["data"]:  # It keeps no snapshots to go back to.
                it["data"]["job.toml"] = it["data"]["job.toml"].partition("[snapshot]")[0]
        (coordinator,) = self.start_role("coordinator")
        servers, workers = self.start_role("server"), self.start_role("worker")
        self.wait_for("steps are made", lambda: self.least_step(coordinator) > 0)
        servers[0].kill()
        self.start("shardmill-server-0")
        self.assertEqual({worker.wait(PATIENCE) for worker in workers}, {1})
        time.sleep(11)  # Without --stay it ends ten seconds after the job.
        status = self.status(coordinator)
        self.assertEqual(status["state"], "failed")
        self.assertIn("shard 0 was started again", status["words"])
        self.assertEqual(coordinator.terminate(), 1)

    def check_runs(self, overlay):
        self.begin(overlay)
        (coordinator,) = self.start_role("coordinator")
        servers, workers = self.start_role("server"), self.start_role("worker")
        self.end(coordinator, servers, workers)

    def test_the_local_job_runs_as_it_is(self):
        self.check_runs("local")

    def test_the_pods_of_a_jobset_find_each_other_and_come_back(self):
        self.skip_without_rows()
        self.begin("jobset")
        (coordinator,) = self.start_role("coordinator")
        servers, workers = self.start_role("server"), self.start_role("worker")
        self.wait_for("steps are made", lambda: self.least_step(coordinator) > 0)
        self.assertEqual(coordinator.terminate(), 143)
        coordinator = self.move(coordinator)
        self.assertEqual(servers[2].terminate(), 143)
        (servers[2],) = self.start(servers[2].pod.name)
        self.wait_until_ready("who was drained is back", servers)
        self.end(coordinator, servers, workers, 143)

    def test_workers_come_and_go_in_the_elastic_job(self):
        self.skip_without_rows()
        self.begin("elastic")
        (coordinator,) = self.start_role("coordinator")
        servers, workers = self.start_role("server"), self.start_role("worker")
        pod = self.pods["shardmill-worker-1"]
        third = self.node.start(pods.Pod("shardmill-worker-2", pod.labels, pod.spec, 2))
        self.wait_for("a third worker trains", lambda: [
            worker["state"] for worker in self.status(coordinator)["workers"]
        ].count("training") == 3)
        self.assertEqual(third.terminate(), 143, third.words())
        status = self.end(coordinator, servers, workers)
        self.assertEqual((status["audit"]["samples_lost"], status["audit"]["samples_repeated"]),
                         (0, 0))

    def test_a_job_that_cannot_run_ends_with_a_code_that_fails_it(self):
        self.begin("replicated")
        (rule,) = [rule["onExitCodes"]["values"] for rule in pods.named(
            self.objects, "Job", "shardmill-worker")["spec"]["podFailurePolicy"]["rules"]
                   if rule["action"] == "FailJob"]
        pod = self.pods["shardmill-worker-1"]
        stranger = self.node.start(pods.Pod("shardmill-worker-9", pod.labels, pod.spec, 9))
        self.assertIn(stranger.wait(PATIENCE), rule, stranger.words())
        self.assertIn("out of range", stranger.words())


if __name__ == "__main__":
    node.enter_namespaces()
    report.main()
