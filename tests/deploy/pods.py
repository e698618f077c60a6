"""The pods that Kubernetes would make of rendered objects."""

import re
from dataclasses import dataclass, field

INDEX_LABEL = "apps.kubernetes.io/pod-index"  # Of a StatefulSet's.
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"       # Of an Indexed Job's.


@dataclass(frozen=True)
class Pod:
    name: str
    labels: dict
    spec: dict
    job_index: int = None  # In an Indexed Job.
    claims: dict = field(default_factory=dict)  # Of its StatefulSet, by the volume's name.

    @property
    def container(self):
        (container,) = self.spec["containers"]
        return container

    @property
    def role(self):
        return self.labels["app.kubernetes.io/component"]

    def selected_by(self, labels):
        return all(self.labels.get(name) == value for name, value in labels.items())


def of_kind(objects, *kinds):
    return [it for it in objects if it["kind"] in kinds]


def named(objects, kind, name):
    (found,) = [it for it in of_kind(objects, kind) if it["metadata"]["name"] == name]
    return found


def make_pods(objects):
    """All pods of StatefulSets, Indexed Jobs and JobSets."""
    pods = []
    for it in of_kind(objects, "StatefulSet"):
        pods += _of_set(it)
    for it in of_kind(objects, "Job"):
        pods += _of_job(it["metadata"]["name"], it["spec"])
    for it in of_kind(objects, "JobSet"):
        for job in it["spec"]["replicatedJobs"]:
            for i in range(job["replicas"]):
                name = f"{it['metadata']['name']}-{job['name']}-{i}"
                pods += _of_job(name, job["template"]["spec"])
    return pods


def _of_set(it):
    template = it["spec"]["template"]
    claims = [claim["metadata"]["name"] for claim in it["spec"].get("volumeClaimTemplates", [])]
    for i in range(it["spec"]["replicas"]):
        name = f"{it['metadata']['name']}-{i}"
        labels = template["metadata"]["labels"] | {INDEX_LABEL: str(i)}
        yield Pod(name, labels, template["spec"],
                  claims={claim: f"{claim}-{name}" for claim in claims})


def _of_job(name, spec):
    template = spec["template"]
    assert spec["completionMode"] == "Indexed"
    for i in range(spec["parallelism"]):
        yield Pod(f"{name}-{i}", template["metadata"]["labels"], template["spec"], i)


def expand(text, variables):
    """As Kubernetes does with $(NAME) where there is one."""
    return re.sub(r"\$\((\w+)\)", lambda match: variables.get(match.group(1), match.group(0)), text)


def environment(pod, objects, address):
    """The variables that the pod's process has, at that address."""
    fields = {"status.podIP": address, "metadata.name": pod.name}
    fields |= {f"metadata.labels['{name}']": value for name, value in pod.labels.items()}
    variables = {}
    for source in pod.container.get("envFrom", []):
        variables |= named(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    for one in pod.container.get("env", []):
        if "valueFrom" in one:
            variables[one["name"]] = fields[one["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            variables[one["name"]] = expand(one["value"], variables)
    if pod.job_index is not None:
        variables[INDEX_VARIABLE] = str(pod.job_index)
    return variables


def command(pod, variables):
    container = pod.container
    return [expand(word, variables) for word in container["command"] + container.get("args", [])]
