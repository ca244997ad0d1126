"""Checks which module uses which: `layers.py ROOT` reads ROOT/src and ends with status 1 if an arrow is wrong.

* Floors: a module uses what its own floor or a lower one defines. The floors are drawn in the docs of lib.rs, under
  "The floors"; a module that is not drawn there is an error.
* lib.rs's re-exports are for other crates: code in this one names the module that defines an item.
* No two files use each other, directly or round about.

Every path that begins with crate, self, super or the name of a child module counts, in `use` or inline, in tests too,
and leads to the module that defines the item, through re-exports. Docs do not count: they may point anywhere.
"""

import re
import sys
from pathlib import Path

IDENT = r"(?:r#)?[A-Za-z_][A-Za-z0-9_]*"
ITEM = re.compile(
    rf"\b(?:fn|struct|enum|trait|type|const|static|union)\s+(?:mut\s+)?({IDENT})|\bmacro_rules!\s*({IDENT})"
)
BRACES = re.compile(r"[{}]")
MOD = re.compile(rf"\bmod\s+({IDENT})\s*([;{{])")
USE = re.compile(r"((?:\bpub(?:\s*\([^)]*\))?\s+)?)\buse\s+([^;]+);")
INLINE = re.compile(rf"(?<![:\w$])((?:crate|self|super)(?:\s*::\s*(?:{IDENT}))+)")


class Module:
    """A module: of a file, or inline in one."""

    def __init__(self, path, file):
        self.path, self.file = path, file
        self.children, self.items, self.imports = {}, set(), {}
        self.uses = []  # (path as parts, line, whether it is a re-export)


def blank(text):
    """The text without comments and literals, each replaced by spaces, line by line."""
    pattern = re.compile(
        r"""//[^\n]*|/\*.*?\*/|b?r(\#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^\\'])'""", re.S
    )
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def flatten(tree, prefix=()):
    """The paths of a use tree, each with the name it is known by."""
    tree = tree.strip()
    if "{" in tree:
        head, rest = tree.split("{", 1)
        head = prefix + tuple(part for part in re.split(r"\s*::\s*", head.strip()) if part)
        depth, start, inner = 0, 0, rest.rsplit("}", 1)[0]
        for index, char in enumerate(inner + ","):
            if char == "{":
                depth += 1
            elif char == "}":
                depth -= 1
            elif char == "," and depth == 0:
                if inner[start:index].strip():
                    yield from flatten(inner[start:index], head)
                start = index + 1
        return
    path, _, name = re.sub(r"\s+", " ", tree).partition(" as ")
    parts = prefix + tuple(re.split(r"\s*::\s*", path.strip()))
    if parts[-1] == "self":
        parts = parts[:-1]
    yield parts, name.strip() or parts[-1]


class Crate:
    def __init__(self, root):
        self.root = root / "src"
        self.modules = {}
        self.crate = self.read(self.root / "lib.rs", ())

    def read(self, file, path):
        module = Module(path, str(file.relative_to(self.root)))
        text = blank(file.read_text())
        folder = file.parent if file.name in ("lib.rs", "mod.rs") else file.with_suffix("")
        self.scan(module, text, 1, folder)
        return module

    def scan(self, module, text, line, folder):
        """Takes note of what a module holds. `text` is its body, which begins in `line` of its file."""
        self.modules[module.path] = module
        # Inline modules first; what is left of the text is the module's own.
        while found := next((m for m in MOD.finditer(text) if m.group(2) == "{"), None):
            depth, end = 0, len(text)
            for brace in BRACES.finditer(text, found.end() - 1):
                depth += 1 if brace.group() == "{" else -1
                if depth == 0:
                    end = brace.end()
                    break
            name = found.group(1)
            child = Module(module.path + (name,), module.file)
            module.children[name] = child
            body = text[found.end() : end - 1]
            self.scan(child, body, line + text.count("\n", 0, found.end()), folder / name)
            hidden = re.sub(r"[^\n]", " ", text[found.start() : end])
            text = text[: found.start()] + hidden + text[end:]
        at = lambda position: line + text.count("\n", 0, position)
        for found in MOD.finditer(text):
            name = found.group(1)
            for file in (folder / f"{name}.rs", folder / name / "mod.rs"):
                if file.exists():
                    module.children[name] = self.read(file, module.path + (name,))
        for found in USE.finditer(text):
            is_reexport = bool(found.group(1))
            for parts, name in flatten(found.group(2)):
                module.uses.append((parts, at(found.start()), is_reexport))
                if name != "*":
                    module.imports[name] = parts
                else:
                    module.imports.setdefault("*", []).append(parts[:-1])
        text = USE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)
        # Who may see an item is no use of it.
        text = re.sub(r"\bpub\s*\(\s*in\b[^)]*\)", "pub", text)
        inline = [INLINE]
        if module.children:
            inline.append(re.compile(rf"(?<![:\w$.])((?:{'|'.join(module.children)})(?:\s*::\s*(?:{IDENT}))+)"))
        for found in (match for pattern in inline for match in pattern.finditer(text)):
            parts = tuple(re.split(r"\s*::\s*", found.group(1)))
            module.uses.append((parts, at(found.start()), False))
        module.items.update(a or b for a, b in ITEM.findall(text))

    def resolve(self, module, parts, seen=()):
        """The module that defines what a path means in a module, or None if that is another crate's."""
        parts = list(parts)
        if parts[0] == "crate":
            current = self.crate
        elif parts[0] in ("self", "super"):
            current = module
            if parts[0] == "super":
                current = self.modules[module.path[:-1]]
            while len(parts) > 1 and parts[1] == "super":
                current = self.modules[current.path[:-1]]
                parts.pop(0)
        elif parts[0] in module.children:
            current, parts = module, ["self", *parts]
        else:
            return None
        for index, name in enumerate(parts[1:], 1):
            if name == "*":
                return current
            if name in current.children:
                current = current.children[name]
            elif name in current.items or (current.path, name) in seen:
                return current
            elif name in current.imports:
                rest = tuple(parts[index + 1 :])
                seen = (*seen, (current.path, name))
                return self.resolve(current, current.imports[name] + rest, seen)
            else:
                for glob in current.imports.get("*", []):
                    if target := self.resolve(current, glob):
                        if name in target.items or name in target.children:
                            return target.children.get(name, target)
                return current
        return current


def floors(lib):
    """The floors as the docs draw them: the path of each module with its number, 0 the lowest."""
    section = re.search(r"^//! # The floors$.*?^//! ```text$(.*?)^//! ```$", lib, re.S | re.M)
    if not section:
        sys.exit('lib.rs draws no floors: a block ```text under "# The floors"')
    lines = [line[3:].split(" -- ")[0].split() for line in section.group(1).strip("\n").split("\n")]
    numbers = {}
    for number, names in enumerate(reversed([names for names in lines if names])):
        numbers.update({tuple(name.split("::")): number for name in names})
    return numbers


def cycles(graph):
    """The groups of nodes that lead to each other (Tarjan's algorithm)."""
    index, low, stack, groups = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1:
                groups.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return groups


def main(root):
    crate = Crate(Path(root))
    numbers = floors((Path(root) / "src/lib.rs").read_text())
    wrong, graph, lines = [], {}, {}

    def floor(path):
        for length in range(len(path), 0, -1):
            if path[:length] in numbers:
                return numbers[path[:length]]
        return None

    for module in crate.modules.values():
        if module is crate.crate:
            continue
        here = floor(module.path)
        if here is None and not module.children:
            wrong.append(f"{module.file}: {'::'.join(module.path)} is on no floor: draw it in lib.rs's docs")
        for parts, line, is_reexport in module.uses:
            place = f"{module.file}:{line}: {'::'.join(parts)}"
            if parts[0] == "crate" and len(parts) > 1:
                name = parts[1]
                if name not in crate.crate.children and name in crate.crate.imports:
                    wrong.append(f"{place} uses a re-export of lib.rs")
                    continue
            target = crate.resolve(module, parts)
            if target is None:
                continue
            there = floor(target.path)
            if here is not None and there is not None and there > here:
                wrong.append(f"{place} points up, to {'::'.join(target.path)}")
            if not is_reexport and target.file != module.file and target is not crate.crate:
                graph.setdefault(module.file, set()).add(target.file)
                lines.setdefault((module.file, target.file), place)
    for group in cycles(graph):
        arrows = [lines[pair] for pair in sorted(lines) if pair[0] in group and pair[1] in group]
        wrong.append("files that use each other:\n    " + "\n    ".join(arrows))
    print("\n".join(wrong) or f"{len(crate.modules)} modules, {sum(map(len, graph.values()))} arrows between files: all go down")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
