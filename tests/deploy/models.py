"""Checks objects against the models that Kubernetes' Python client has of them: what they do not
know, what is of another type and what is missing is wrong."""

import re

from kubernetes import client

# What is newer than Debian's client, or no part of Kubernetes: fields by name, "!" where one must
# be there. Of the client's own models these are more fields.
NEWER = {
    "V1StatefulSetSpec": {"persistentVolumeClaimRetentionPolicy": "ClaimRetention"},
    "ClaimRetention": {"whenDeleted": "str", "whenScaled": "str"},
    "V1JobSpec": {"podFailurePolicy": "PodFailurePolicy"},
    "PodFailurePolicy": {"rules!": "list[PodFailureRule]"},
    "PodFailureRule": {"action!": "str", "onExitCodes": "OnExitCodes",
                       "onPodConditions": "list[OnPodCondition]"},
    "OnExitCodes": {"containerName": "str", "operator!": "str", "values!": "list[int]"},
    "OnPodCondition": {"type!": "str", "status!": "str"},
    "V1alpha2JobSet": {"apiVersion!": "str", "kind!": "str", "metadata!": "V1ObjectMeta",
                       "spec!": "JobSetSpec"},
    "JobSetSpec": {"network": "JobSetNetwork", "successPolicy": "JobSetSuccess",
                   "failurePolicy": "JobSetFailure", "replicatedJobs!": "list[ReplicatedJob]"},
    "JobSetNetwork": {"enableDNSHostnames": "bool", "subdomain": "str",
                      "publishNotReadyAddresses": "bool"},
    "JobSetSuccess": {"operator!": "str", "targetReplicatedJobs": "list[str]"},
    "JobSetFailure": {"maxRestarts": "int"},
    "ReplicatedJob": {"name!": "str", "replicas": "int", "template!": "V1JobTemplateSpec"},
}
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}


class Wrong(Exception):
    """What is wrong with an object, and where in it."""


def check_object(it):
    """Raises Wrong where the object is not what its apiVersion and kind say."""
    version, kind = it.get("apiVersion", "/?"), it.get("kind", "?")
    name = it.get("metadata", {}).get("name", "?")
    _check(version.rsplit("/", 1)[-1].capitalize() + kind, it, f"{kind} {name}")


def _check(kind, value, where):
    """Returns what the client makes of a value of a kind as its models name them."""
    if kind.startswith("list["):
        _expect(isinstance(value, list), where, "a list", value)
        return [_check(kind[5:-1], one, f"{where}[{i}]") for i, one in enumerate(value)]
    if kind.startswith("dict("):
        _expect(isinstance(value, dict), where, "names and values", value)
        of = re.fullmatch(r"dict\(str, (.*)\)", kind).group(1)
        return {name: _check(of, one, f"{where}.{name}") for name, one in value.items()}
    if kind in PLAIN:
        right = isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        _expect(right, where, kind, value)
        return value
    return value if kind == "object" else _check_model(kind, value, where)


def _check_model(kind, value, where):
    model = getattr(client, kind, None)
    _expect(model is not None or kind in NEWER, where, "a kind that is known", kind)
    _expect(isinstance(value, dict), where, kind, value)
    fields = {name.rstrip("!"): (None, of) for name, of in NEWER.get(kind, {}).items()}
    missing = {name[:-1] for name in NEWER.get(kind, {}) if name.endswith("!")} - value.keys()
    _expect(not missing, where, f"also {sorted(missing)}", sorted(value))
    if model is not None:
        fields |= {model.attribute_map[name]: (name, of)
                   for name, of in model.openapi_types.items()}
    arguments = {}
    for name, one in value.items():
        _expect(name in fields, where, f"a field of {kind}", name)
        argument, of = fields[name]
        made = _check(of, one, f"{where}.{name}")
        if argument is not None:
            arguments[argument] = made
    try:
        return model(**arguments) if model is not None else None
    except ValueError as error:  # What must be there, or must be one of some words.
        raise Wrong(f"{where}: {error}") from error


def _expect(right, where, wanted, found):
    if not right:
        raise Wrong(f"{where}: wanted {wanted}, found {found!r}")
