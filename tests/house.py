"""The rules of the house: each a function from a tree of sources to the places where the rule is broken.

test_house.py holds this repository to them, and each of them to a small tree that breaks it.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path

# An arrow only points down, and rooms of one floor do not know each other.
FLOORS = {
    room: number
    for number, rooms in enumerate(
        (
            "budget text shipped manifest wire durable fonts foreign line",
            "schema supervisor",
            "model_file",
            "ticket decision smoothing folds trees formats local_fit neighbourhood threshold model",
            "reading explain ledger models advice posts",
            "bundles request",
            "beginning worker desk checklist latency",
            "bench evidence panel adoption",
            "checks importance",
            "audit charts redact power",
            "report snapshot",
            "console cli_options",
            "commands",
            "cli pages",
        )
    )
    for room in rooms.split()
}
# A library that is heavy, or that decides a format, has one home.
HOMES = {
    "altair": ("workbench/charts/",),
    "arch": ("workbench/checks/", "workbench/audit.py", "workbench/importance/blocks.py"),
    "catboost": ("workbench/models/catboost.py",),
    "dask": ("workbench/panel/",),
    "distributed": ("workbench/panel/",),
    "lightgbm": ("workbench/models/lightgbm.py",),
    "onnxruntime": ("workbench/models/onnx.py",),
    "llvmlite": ("workbench/trees/",),
    "numba": ("workbench/trees/",),
    "rich": ("workbench/cli", "workbench/commands/", "workbench/console.py"),
    "scipy": (
        "workbench/checks/",
        "workbench/audit.py",
        "workbench/importance/",
        "workbench/smoothing.py",
        "workbench/threshold.py",
    ),
    "shap": ("workbench/schema.py",),
    "sklearn": ("workbench/models/sklearn.py",),
    "skops": ("workbench/models/sklearn.py",),
    "sqlite3": ("workbench/ledger.py",),
    "statsmodels": ("workbench/checks/", "workbench/audit.py"),
    "streamlit": ("pages/",),
    "typer": ("workbench/cli", "workbench/commands/"),
    "typst": ("workbench/report.py",),
    "vl_convert": ("workbench/charts/render.py",),
    "xgboost": ("workbench/models/xgboost.py",),
}
# What the app and the command line do without until a command wants it; models and explainers never run in them at all.
HEAVY = {
    "altair",
    "arch",
    "distributed",
    "lightgbm",
    "scipy",
    "shap",
    "statsmodels",
    "streamlit",
    "typst",
    "vl_convert",
}
ONLY_IN_WORKERS = {
    "catboost",
    "joblib",
    "lightgbm",
    "lime",
    "numba",
    "onnxruntime",
    "shap",
    "sklearn",
    "skops",
    "xgboost",
}
UNPICKLERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
FORBIDDEN_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}
# These show what a machine's paths look like, in order to take them out.
SHOWS_PATHS = {"redact.py", "test_redact.py", "test_snapshot.py"}
ROOM, PAGE, FUNCTION = 300, 60, 40


class House:
    """A tree of sources."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, *patterns: str) -> Iterator[tuple[str, Path]]:
        """Path from the root, and the file, for every file that fits a pattern."""
        for pattern in patterns:
            for path in sorted(self.root.glob(pattern)):
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path.relative_to(self.root).as_posix(), path

    def code(self, *patterns: str) -> Iterator[tuple[str, ast.Module]]:
        """The same for Python, parsed; by default the package and the pages."""
        for name, path in self.files(*(patterns or ("workbench/**/*.py", "pages/**/*.py"))):
            yield name, ast.parse(path.read_text("utf-8"))

    def tracked(self) -> Iterator[tuple[str, Path]]:
        """What git knows; where there is no git, everything."""
        if not (self.root / ".git").exists():
            yield from self.files("**/*")
            return
        names = subprocess.run(["git", "ls-files", "-z"], cwd=self.root, capture_output=True, check=True, text=True)
        yield from ((name, self.root / name) for name in names.stdout.split("\0") if (self.root / name).is_file())


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module or ''}.{alias.name}") for alias in node.names)


def room_of(name: str) -> str:
    """`workbench/charts/theme.py` -> `charts`; `pages/app.py` -> `pages`."""
    parts = Path(name).with_suffix("").parts
    return parts[0] if parts[0] == "pages" else parts[1]


def arrows_point_down(house: House) -> list[str]:
    """A room imports rooms of lower floors only; every room has a floor."""
    wrong = []
    for name, tree in house.code():
        room = room_of(name)
        if room == "__init__":
            continue
        if room not in FLOORS:
            wrong.append(f"{name}: {room} stands on no floor")
            continue
        for line, imported in imports(tree):
            first, _, rest = imported.partition(".")
            other = rest.partition(".")[0]
            if first == "workbench" and other not in {room, "__version__"} and FLOORS.get(other, 99) >= FLOORS[room]:
                wrong.append(
                    f"{name}:{line}: {room} (floor {FLOORS[room]}) imports {other} (floor {FLOORS.get(other)})"
                )
    return wrong


def libraries_stay_home(house: House) -> list[str]:
    """Each heavy library is imported in its home only."""
    return [
        f"{name}:{line}: {imported.split('.')[0]} lives in {', '.join(HOMES[imported.split('.')[0]])}"
        for name, tree in house.code()
        for line, imported in imports(tree)
        if not name.startswith(HOMES.get(imported.split(".")[0], ("",)))
    ]


def nothing_is_called_utils(house: House) -> list[str]:
    """A file's name says what is in it."""
    return [name for name, path in house.files("**/*.py") if path.stem in FORBIDDEN_NAMES and ".venv" not in path.parts]


def init_hands_out_nothing(house: House) -> list[str]:
    """workbench/__init__.py holds a docstring and the version."""
    (name, tree), *_ = house.code("workbench/__init__.py")
    names = [ast.unparse(s.targets[0]) if isinstance(s, ast.Assign) else ast.unparse(s) for s in tree.body[1:]]
    fine = ast.get_docstring(tree) and names == ["__version__"]
    return [] if fine else [f"{name}: holds {names}"]


def rooms_are_small(house: House) -> list[str]:
    """Rooms, pages and functions have a length at which a reader still sees them whole."""
    wrong = []
    for name, path in house.files("workbench/**/*.py", "pages/**/*.py"):
        lines = len(path.read_text("utf-8").splitlines())
        most = PAGE if path.parent.name == "pages" else ROOM
        wrong += [f"{name}: {lines} lines, {most} at most"] if lines > most else []
    for name, tree in house.code():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and code_lines(node) > FUNCTION:
                wrong.append(f"{name}:{node.lineno}: {node.name} has {code_lines(node)} lines, {FUNCTION} at most")
    return wrong


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, the docstring apart."""
    total = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    return total - ((first.end_lineno or 0) - first.lineno + 1 if documented else 0)


def nothing_dangerous(house: House) -> list[str]:
    """No unpickling, no code from text, no HTML from text, no shell."""
    wrong = []
    for name, tree in house.code():
        wrong += [f"{name}:{n}: imports {i}" for n, i in imports(tree) if i.split(".")[0] in UNPICKLERS]
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            bad = (
                called in {"eval", "exec", "os.system", "os.popen"}
                or called.endswith(("components.v1.html", "components.html", "st.html", "yaml.load", "read_pickle"))
                or given.get("allow_pickle", "False") != "False"
                or given.get("shell", "False") != "False"
                or "unsafe_allow_html" in given
            )
            wrong += [f"{name}:{node.lineno}: {ast.unparse(node)[:80]}"] if bad else []
    return wrong


def loaded_by(statement: str, names: Collection[str], *folders: Path) -> list[str]:
    """Which of the libraries a fresh Python has loaded after the statement."""
    code = f"import sys; sys.path[:0] = {[str(f) for f in folders]!r}\n{statement}\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return sorted(set(names) & set(done.stdout.split()))


def words_of(house: House) -> set[str]:
    """Every key of words/*.toml."""

    def keys(prefix: str, table: dict) -> Iterator[str]:
        for name, entry in table.items():
            if set(entry) & {"en", "zh"}:
                yield f"{prefix}.{name}"
            else:
                yield from keys(f"{prefix}.{name}", entry)

    files = house.files("workbench/words/*.toml")
    return {key for _, path in files for key in keys(path.stem, tomllib.loads(path.read_text("utf-8")))}


def used_keys_exist(house: House) -> list[str]:
    """The key given to text(), Message() or Fault() is in words/*.toml."""
    known = words_of(house)
    return [
        f"{name}:{node.lineno}: no words for {node.args[0].value!r}"
        for name, tree in house.code()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in {"text", "Message", "Fault"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and re.fullmatch(r"[a-z_]+(\.\w+)+", str(node.args[0].value))
        and node.args[0].value not in known
    ]


def words_are_used(house: House) -> list[str]:
    """Every key stands in the code: whole, or as an f-string's beginning with the name that is put in somewhere beside it."""
    nodes = [node for _, tree in house.code() for node in ast.walk(tree)]
    said = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    formed = (node.values[0] for node in nodes if isinstance(node, ast.JoinedStr))
    beginnings = {str(first.value) for first in formed if isinstance(first, ast.Constant)}
    said |= {Path(name).stem for name, _ in house.code()}  # in a registry a file's name is the key
    checks = [tomllib.loads(path.read_text("utf-8")) for _, path in house.files("audits/*/*.toml")]
    said |= {str(value) for table in checks for check in table.values() for value in dict(check).values()}
    tails = {
        key: [key.removeprefix(b) for b in beginnings if "." in b and key.startswith(b)] for key in words_of(house)
    }
    papers = "".join(path.read_text("utf-8") for _, path in house.files("audits/*/*.typ"))
    return sorted(
        key
        for key in words_of(house) - said
        if not said.intersection(tails[key])
        and not (key.startswith("report.") and re.search(rf"\b{key.split('.')[-1]}\b", papers))
    )


def measures_have_their_table(house: House) -> list[str]:
    """checks/FAMILY.py and audits/*/FAMILY.toml name the same things."""
    measured = {
        (Path(name).stem, node.name)
        for name, tree in house.code("workbench/checks/*.py")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    asked = {
        (path.stem, check)
        for _, path in house.files("audits/*/*.toml")
        for check, entry in tomllib.loads(path.read_text("utf-8")).items()
        if isinstance(entry, dict) and "code" in entry
    }
    return [f"{family}.{check}: only in one of checks/ and audits/" for family, check in sorted(measured ^ asked)]


def registries_are_complete(house: House) -> list[str]:
    """A file in models/ or explain/ offers all that the folder's reader asks for."""
    offers = {
        "models": {"inspect", "load", "recognises", "LIBRARY"},
        "explain": {"applies", "explain", "WEIGHED", "BACKGROUND_ROWS"},
    }
    wrong = []
    for folder, wanted in offers.items():
        for name, tree in house.code(f"workbench/{folder}/[a-z]*.py"):
            given = {s.name for s in tree.body if isinstance(s, ast.FunctionDef)}
            given |= {ast.unparse(t) for s in tree.body if isinstance(s, ast.Assign) for t in s.targets}
            given |= {ast.unparse(s.target) for s in tree.body if isinstance(s, ast.AnnAssign)}
            wrong += [f"{name}: lacks {w}" for w in sorted(wanted - given)]
    return wrong


def no_machine_is_named(house: House) -> list[str]:
    """No path of somebody's machine, no registry's host."""
    hosts = r"pypi\W?org|pythonhosted|npmjs|deb\W?debian"
    place = re.compile(rf"(?<![\w.~*/])/(?:work|root|home)/[\w.]|(?:{hosts})\.(?:com|org)".encode())
    return [
        f"{name}: {found.group().decode()}"
        for name, path in house.tracked()
        if path.name not in SHOWS_PATHS
        and path.suffix in {".py", ".toml", ".md", ".lock", ".txt", ".typ", ".json", ".csv", ".svg", ""}
        and (found := place.search(path.read_bytes()))
    ]


def locks_hold(house: House) -> list[str]:
    """Locks name no address, pin by hash, and the tests' lock holds all of the app's."""
    wrong, pins = [], {}
    for name, path in house.files("*.lock"):
        text = path.read_text("utf-8")
        wrong += [f"{name}: names an address"] if "://" in text else []
        blocks = re.findall(r"^(\S+==\S+)[^\n]*((?:\n {4}--hash=\S+[^\n]*)*)", text, re.MULTILINE)
        wrong += [f"{name}: {pin} bears no hash" for pin, hashes in blocks if not hashes]
        pins[name] = {pin for pin, _ in blocks}
    missing = pins.get("requirements.lock", set()) - pins.get("requirements-test.lock", set())
    return wrong + [f"requirements-test.lock lacks {pin}" for pin in sorted(missing)]
