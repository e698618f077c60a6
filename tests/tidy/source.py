"""The files of the tree as the tidy rules see them."""

import ast
import os
import pathlib
import re
from dataclasses import dataclass
from functools import cached_property

CPP = (".h", ".cc", ".cu", ".cuh")
ROOMS = ("proto", "common", "server", "client", "nn", "optim", "snapshot", "worker", "cli", "sim",
         "tests", "bench", "examples")

# Comments, raw strings, strings and characters; a digit separator is no character.
_TOKEN = re.compile(
    r'//(?:\\\n|[^\n])*'
    r'|/\*.*?\*/'
    r'|(?:u8|u|U|L)?R"(?P<fence>[^()\s\\]{0,16})\(.*?\)(?P=fence)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.DOTALL)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


def strip(text, keep_strings=False):
    """C++ with comments and the insides of strings blanked; lines and columns stay."""
    def replace(match):
        token = match.group(0)
        if token.startswith(("//", "/*")):
            return _blank(token)
        if keep_strings:
            return token
        return '"' + _blank(token[1:-1]) + '"'
    return _TOKEN.sub(replace, text)


@dataclass(frozen=True)
class Function:
    """A function's first and last line, counted from 1."""

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class Source:
    path: str  # From the root, with slashes.
    text: str

    @property
    def room(self):
        return self.path.split("/", 1)[0]

    @property
    def is_cpp(self):
        return self.path.endswith(CPP)

    @property
    def is_header(self):
        return self.path.endswith((".h", ".cuh"))

    @cached_property
    def lines(self):
        return self.text.splitlines()

    @cached_property
    def code(self):
        """C++ without comments and strings."""
        return strip(self.text)

    @cached_property
    def plain(self):
        """The code without preprocessor lines: what the brace counter reads."""
        return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: _blank(m.group(0)), self.code,
                      flags=re.MULTILINE)

    @cached_property
    def includes(self):
        """(line, target, quoted) of each include."""
        found = []
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]',
                                 strip(self.text, keep_strings=True), re.MULTILINE):
            line = self.text.count("\n", 0, match.start()) + 1
            found.append((line, match.group(2), match.group(1) == '"'))
        return found

    @cached_property
    def functions(self):
        if self.is_cpp:
            return list(_cpp_functions(self.plain))
        if self.path.endswith(".py"):
            return list(_python_functions(self.text))
        return []


def _python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Function(node.name, node.lineno, node.end_lineno)


_TEMPLATE = re.compile(r"^\s*(?:template\s*<[^{};]*?>\s*(?=[\w\[:])|requires\b[^{};]*?\)\s*)*")
_SCOPE = re.compile(r"^(?:(?:typedef|static|inline|constexpr|export|friend)\s+)*"
                    r"(?:namespace|class|struct|union|enum|extern)\b")
_INITIALIZER_LIST = re.compile(r"\)\s*(?:noexcept(?:\s*\([^()]*\))?\s*)?:(?!:)")
_NAME = re.compile(r"([~\w:]+|operator\s*\W{1,3})\s*\(")


def opens_scope(head):
    """True if a brace after `head` opens a namespace or a type."""
    head = head[_TEMPLATE.match(head).end():].strip()
    return bool(_SCOPE.match(head)) and not re.search(r"\w\s*\([^()]*\)\s*(?:const|noexcept)*$",
                                                      re.sub(r"alignas\s*\([^()]*\)", "", head))


def _opens_function(head):
    """True if a brace after `head`, outside of functions, opens a function's body."""
    if ")" not in head or re.search(r"=\s*$", head):
        return False
    # In a constructor's list of members, `name {` initialises one; a body follows `)` or `}`.
    return not (_INITIALIZER_LIST.search(head) and re.search(r"[\w>]\s*$", head))


def _cpp_functions(plain):
    """Every function with a body, from the line where its declaration starts to its last brace.

    Lambdas and local classes are part of the function around them. Blank lines and comments count.
    """
    stack = []  # Of "scope", "function", "other": one an open brace.
    start = 0  # Where the present declaration starts.
    begun = None  # (name, offset) of the function that is open.
    for match in re.finditer(r"[{};]|\b(?:public|private|protected)\s*:", plain):
        mark = match.group(0)
        inside = "function" in stack
        if mark == "{":
            head = plain[start:match.start()]
            if inside or (stack and stack[-1] == "other"):
                stack.append("other")
            elif opens_scope(head):
                stack.append("scope")
                start = match.end()
            elif _opens_function(head):
                name = _NAME.search(head[_TEMPLATE.match(head).end():])
                begun = (name.group(1) if name else "?", start + len(head) - len(head.lstrip()))
                stack.append("function")
            else:
                stack.append("other")
        elif mark == "}":
            kind = stack.pop() if stack else "scope"
            if kind == "function":
                yield Function(begun[0], plain.count("\n", 0, begun[1]) + 1,
                               plain.count("\n", 0, match.start()) + 1)
            # After a member's initialiser the declaration goes on.
            if kind != "other":
                start = match.end()
        elif not inside and (not stack or stack[-1] == "scope"):
            start = match.end()


class Tree:
    """The sources under one root. Folders that a build or a run made are not part of it."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.sources = {source.path: source for source in self._read()}

    def _read(self):
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders
                                if not name.startswith((".", "bazel-", "__pycache__"))
                                and not (name == "runs" and folder == str(self.root)))
            for name in sorted(files):
                path = pathlib.Path(folder, name)
                relative = path.relative_to(self.root).as_posix()
                if path.is_symlink() or not _is_source(relative, path):
                    continue
                yield Source(relative, path.read_text(encoding="utf-8"))

    def cpp(self, *rooms):
        return [s for s in self.sources.values() if s.is_cpp and (not rooms or s.room in rooms)]


def _is_source(relative, path):
    name = relative.rsplit("/", 1)[-1]
    if name.endswith(CPP + (".proto", ".py", ".sh", ".bzl")) or name in ("BUILD", "WORKSPACE"):
        return True
    if "." in name:
        return False
    with open(path, "rb") as file:
        return file.read(2) == b"#!"
