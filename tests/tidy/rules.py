"""The rules of the house that a machine can check. Each takes a Tree and yields Findings."""

import fnmatch
import re
import shutil
import subprocess
from dataclasses import dataclass

from source import CPP, ROOMS, opens_scope

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    words: str


class Skipped(Exception):
    """A rule that cannot be checked on this machine, and why."""


def file_length(tree):
    """No file over 500 lines."""
    for source in tree.sources.values():
        if len(source.lines) > FILE_LINES_MAX:
            yield Finding(source.path, FILE_LINES_MAX + 1,
                          f"{len(source.lines)} lines; the limit is {FILE_LINES_MAX}")


def function_length(tree):
    """No function of C++ or Python over 70 lines, from its declaration to its last line."""
    for source in tree.sources.values():
        for function in source.functions:
            lines = function.last - function.first + 1
            if lines > FUNCTION_LINES_MAX:
                yield Finding(source.path, function.first,
                              f"{function.name} has {lines} lines; the limit is "
                              f"{FUNCTION_LINES_MAX}")


# Which rooms a room may include; itself always. Tests, benchmarks and examples may include all.
WALLS = {
    "proto": (),
    "common": ("proto",),
    "snapshot": ("common", "proto"),
    "server": ("common", "optim", "snapshot"),
    "client": ("common",),
    "nn": ("common", "optim"),
    "optim": ("common",),
    "worker": ("common", "client", "nn", "optim", "snapshot"),
    "cli": ("bench", "common", "server", "client", "nn", "optim", "snapshot", "worker"),
    "sim": ("common", "server", "client", "optim", "snapshot"),
    "tests": ROOMS,
    "bench": ROOMS,
    "examples": ROOMS,
}

# What may include a library: files, folders (ending in a slash) and these alone.
LIBRARIES = (
    (r"zmq(_addon)?\.hp?p?$", ("common/net/", "tests/common/net/", "bench/zmq_echo.cc")),
    (r"proto/.*\.pb\.h$|google/protobuf/|common/wire/(from|to)_proto\.h$",
     ("common/wire/", "snapshot/manifest.cc", "tests/common/wire/", "tests/fuzz/")),
    (r"(cuda|cublas|cudnn|nccl|curand|cusparse)\w*\.h$|(cuda|cub|thrust|cooperative_groups)/",
     ("nn/ops/cuda/", "tests/nn/soft_card/")),
    (r"CLI/", ("common/flags/flags.cc", "cli/flags.cc")),
    (r"toml\+\+/|toml\.hpp$", ("common/config/",)),
    (r"httplib\.h$", ("common/http/",)),
    (r"(spdlog|fmt)/", ("common/log/",)),
    (r"Eigen/|unsupported/Eigen", ("nn/ops/cpu/",)),
    (r"(oneapi/)?dnnl|oneapi/", ("nn/ops/cpu/",)),
    (r"g(test|mock)/", ("tests/",)),
    (r"benchmark/", ("bench/",)),
)
# These cost seconds wherever they are read, so no header reads them.
HEAVY = re.compile(r"CLI/|toml\+\+/|httplib\.h$|spdlog/|Eigen/|oneapi/")


def _under(path, places):
    return any(path.startswith(place) if place.endswith("/") else path == place
               for place in places)


def walls(tree):
    """No include across a wall: rooms see what the table of rooms lets them see."""
    for source in tree.cpp():
        for line, target, quoted in source.includes:
            room = target.split("/", 1)[0]
            if quoted and (room not in ROOMS or "/" not in target):
                yield Finding(source.path, line, f'"{target}" is not a path from the root')
            elif quoted and source.room in WALLS and room != source.room and \
                    room not in WALLS[source.room]:
                yield Finding(source.path, line, f"{source.room} may not include {room}")


def libraries(tree):
    """No library beyond the folder that wraps it, and no heavy one in a header."""
    for source in tree.cpp():
        for line, target, _ in source.includes:
            for pattern, places in LIBRARIES:
                if re.match(pattern, target) and not _under(source.path, places):
                    yield Finding(source.path, line,
                                  f"{target} belongs to {' and '.join(places)} alone")
            if source.is_header and HEAVY.match(target):
                yield Finding(source.path, line, f"{target} in a header costs every includer")


_TYPE = re.compile(r"^[ \t]*(?:class|struct)\s+(?:\[\[\w+\]\]\s*|alignas\([^)]*\)\s*)*"
                   r"(?P<name>[\w:]+)(?P<rest>[^;{}()=]*)\{", re.MULTILINE)


def _body(code, begin):
    """The text from an open brace at `begin` to the brace that closes it."""
    depth = 0
    for match in re.finditer(r"[{}]", code[begin:]):
        depth += 1 if match.group(0) == "{" else -1
        if depth == 0:
            return code[begin:begin + match.end()]
    return code[begin:]


def _has_behaviour(body):
    """True if a struct's body declares a function that is not a default comparison."""
    depth, flat = 0, []
    for character in body[1:-1]:
        depth -= character == "}"
        flat.append(character if depth == 0 else "")
        depth += character == "{"
    text = re.sub(r"\(\s*\*\s*\w+\s*\)\s*\(", "", "".join(flat))  # A pointer to a function.
    while re.search(r"<[^<>]*>", text):
        text = re.sub(r"<[^<>]*>", "", text)
    for statement in re.split(r"[;}]", text):
        if re.search(r"=\s*default\s*$", statement):
            continue
        if re.search(r"\w\s*\(", re.split(r"[={]", statement.replace("operator=", ""))[0]):
            return True
    return False


def class_comment(tree):
    """Every class, and every struct with behaviour, in a room's header has a comment above it.

    Types inside functions or types and explicit specialisations go without.
    """
    for source in tree.cpp():
        if not source.is_header or source.room in ("tests", "bench", "examples"):
            continue
        for match in _TYPE.finditer(source.plain):
            begin = match.start() + len(match.group(0)) - len(match.group(0).lstrip())
            if _depth_in_types(source.plain, match.start()) or "<" in match.group("rest").split(
                    ":")[0]:
                continue
            body = _body(source.plain, match.end() - 1)
            if not match.group(0).lstrip().startswith("class") and not _has_behaviour(body):
                continue
            line = source.plain.count("\n", 0, begin)  # Of the type, from 0.
            while line > 0 and source.lines[line - 1].lstrip().startswith(("template", "requires")):
                line -= 1
            if line == 0 or not source.lines[line - 1].lstrip().startswith(("//", "*/")):
                yield Finding(source.path, line + 1,
                              f"{match.group('name')} has no comment: what it is, who owns it, "
                              "which thread, what can fail")


def _depth_in_types(plain, offset):
    """How many braces other than namespaces' are open at `offset`."""
    stack, start = [], 0
    for match in re.finditer(r"[{};]", plain[:offset]):
        if match.group(0) == "{":
            head = plain[start:match.start()].strip()
            stack.append(not (opens_scope(head) and re.match(r"(inline\s+)?namespace|extern",
                                                             head)))
        elif match.group(0) == "}" and stack:
            stack.pop()
        start = match.end()
    return sum(stack)


def pragma_once(tree):
    """Every header begins with #pragma once."""
    for source in tree.cpp():
        if source.is_header and "#pragma once" not in source.code:
            yield Finding(source.path, 1, "no #pragma once")


def dead_files(tree):
    """Every source is named by the BUILD file of its package, and every header is included."""
    included = {target for source in tree.cpp() for _, target, quoted in source.includes if quoted}
    stand_ins = {target for source in tree.cpp() for _, target, quoted in source.includes
                 if not quoted}  # For a library's headers, in a folder `include`.
    for source in tree.sources.values():
        if not source.path.endswith(CPP + (".proto",)):
            continue
        folder, _, name = source.path.rpartition("/")
        while folder and folder + "/BUILD" not in tree.sources:
            folder, _, last = folder.rpartition("/")
            name = last + "/" + name
        build = tree.sources.get((folder + "/" if folder else "") + "BUILD")
        words = re.findall(r'"([^"\n]+)"', re.sub(r"#.*", "", build.text)) if build else []
        if not any(word == name or ("*" in word and fnmatch.fnmatch(name, word))
                   for word in words):
            yield Finding(source.path, 1, "no BUILD file names it")
        elif source.is_header and source.path not in included and \
                source.path.rpartition("/include/")[2] not in stand_ins:
            yield Finding(source.path, 1, "nothing includes it")


def formatting(tree):
    """clang-format would change nothing."""
    if shutil.which("clang-format") is None:
        raise Skipped("clang-format is not installed; tools/install_deps --tests installs it")
    paths = sorted(source.path for source in tree.cpp())
    for begin in range(0, len(paths), 64):
        done = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths[begin:begin + 64]],
                              cwd=tree.root, stderr=subprocess.PIPE, text=True, check=False)
        seen = set()
        for path, line in re.findall(r"^([^:\n]+):(\d+):\d+: error: ", done.stderr, re.MULTILINE):
            if path not in seen:
                seen.add(path)
                yield Finding(path, int(line), "not as clang-format writes it: run tools/format")
        if done.returncode != 0 and not seen:
            yield Finding(paths[begin], 1, f"clang-format failed: {done.stderr.strip()}")


_TEST = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\(\s*(\w+),\s*(\w+)\s*\)\s*\{",
                   re.MULTILINE)
_ASSERTS = re.compile(r"\b(?:(?:EXPECT|ASSERT)_\w+|FAIL|SUCCEED|ADD_FAILURE\w*|"
                      r"(?:Expect|Check)\w*)\s*\(")


def tests_assert(tree):
    """Every test asserts something, itself or through a helper named Expect... or Check..."""
    for source in tree.cpp("tests"):
        for match in _TEST.finditer(source.plain):
            if not _ASSERTS.search(_body(source.plain, match.end() - 1)):
                yield Finding(source.path, source.plain.count("\n", 0, match.start()) + 1,
                              f"{match.group(1)}.{match.group(2)} asserts nothing")


def _forbid(tree, pattern, words, allowed=(), rooms=()):
    for source in tree.cpp(*rooms):
        if _under(source.path, allowed):
            continue
        for match in re.finditer(pattern, source.code, re.MULTILINE):
            yield Finding(source.path, source.code.count("\n", 0, match.start()) + 1, words)


def environment(tree):
    """getenv lives in the config reader alone."""
    return _forbid(tree, r"\b(?:secure_)?getenv\b|\benviron\b",
                   "the environment is read in common/config alone", allowed=("common/config/",))


def using_namespace(tree):
    """No `using namespace`."""
    return _forbid(tree, r"\busing\s+namespace\b", "name what you use")


def no_sleep(tree):
    """No test sleeps but those of real processes."""
    return _forbid(tree, r"\b(?:sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\(",
                   "tests wait for an event or move a clock of their own", rooms=("tests",),
                   allowed=("tests/system/",))


# A library's own switches, which it takes as macros before its header.
LIBRARY_SWITCHES = {"common/config/document.cc": "TOML_",
                    "tests/nn/soft_card/include/cuda_runtime.h": "__"}


def macros(tree):
    """Two macros in all: SM_ASSERT and SM_TRY."""
    for source in tree.cpp():
        for match in re.finditer(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", source.code, re.MULTILINE):
            name = match.group(1)
            if name not in ("SM_ASSERT", "SM_TRY") and not name.startswith(
                    LIBRARY_SWITCHES.get(source.path, "\0")):
                yield Finding(source.path, source.code.count("\n", 0, match.start()) + 1,
                              f"{name}: the macros of this house are SM_ASSERT and SM_TRY")


def unfinished(tree):
    """No notes about work left undone."""
    for source in tree.cpp():
        for match in re.finditer(r"\b(?:TODO|FIXME|XXX)\b", source.text):
            yield Finding(source.path, source.text.count("\n", 0, match.start()) + 1,
                          "finish it, or open an issue")


RULES = (
    file_length,
    function_length,
    walls,
    libraries,
    class_comment,
    pragma_once,
    dead_files,
    formatting,
    tests_assert,
    environment,
    using_namespace,
    no_sleep,
    macros,
    unfinished,
)
