"""Man pages and bash completion from what programs say of themselves.

write_pages.py FOLDER PROGRAM...: reads each program's --help, --version and --list, and writes
FOLDER/man1/NAME.1 and FOLDER/completions/NAME.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

EXIT_STATUS = (("0", "done"), ("1", "failed"), ("2", "bad usage"), ("130", "interrupted"))
COMPLETION = pathlib.Path(__file__).with_name("completion.bash")


def ask(program, *words, expected=0):
    # With this set the programs need not start themselves a second time.
    environment = {**os.environ, "GOMP_SPINCOUNT": "2000"}
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60,
                          env=environment)
    if done.returncode != expected:
        sys.exit(f"write_pages.py: '{program} {' '.join(words)}' ended with {done.returncode}: "
                 f"{done.stderr.strip()}")
    return done.stdout if expected == 0 else done.stderr


class Option:
    def __init__(self, names, value, description):
        self.names, self.value, self.description = names, value, description


class Help:
    """A --help text in its parts."""

    def __init__(self, text):
        before, *parts = re.split(r"\n\n(?=\S)", text.rstrip("\n"))
        self.purpose = " ".join(before.split())
        self.usage, self.examples, self.groups = "", [], []
        for part in parts:
            heading, _, body = part.partition("\n")
            if heading.startswith("Usage: "):
                self.usage = heading.removeprefix("Usage: ")
            elif heading == "Examples:":
                self.examples = [line[2:] for line in body.splitlines()]
            else:
                self.groups.append((heading.rstrip(":"), self._options(body)))
        if not self.usage or not self.examples or not self.groups:
            sys.exit("write_pages.py: the help has no usage, no options or no examples:\n" + text)

    @staticmethod
    def _options(body):
        options = []
        for line in body.splitlines():
            found = re.match(r"  (\S+)((?: \S+)*)(?:\s{2,}(.*))?$", line)
            if found:
                names, value, description = found.groups()
                options.append(Option(names.split(","), value.strip(), description or ""))
            else:  # a description that goes on, or stands below its option
                options[-1].description = f"{options[-1].description} {line.strip()}".strip()
        return options

    def options(self):
        return [option for _, options in self.groups for option in options]


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def man_page(name, version, page, others):
    what = re.split(r"[:,.]", page.purpose)[0]
    lines = [f'.TH {name.upper()} 1 "" "{version}" "User Commands"',
             ".SH NAME", f"{roff(name)} \\- {roff(what[:1].lower() + what[1:])}",
             ".SH SYNOPSIS", f".B {roff(name)}", roff(page.usage.removeprefix(name).strip()),
             ".SH DESCRIPTION", roff(page.purpose), ".SH OPTIONS"]
    for heading, options in page.groups:
        lines.append(f'.SS "{roff(heading)}"')
        for option in options:
            names = ", ".join(f"\\fB{roff(each)}\\fR" for each in option.names)
            value = f" \\fI{roff(option.value)}\\fR" if option.value else ""
            lines += [".TP", names + value, roff(option.description)]
    lines += [".SH EXIT STATUS"]
    for code, meaning in EXIT_STATUS:
        lines += [".TP", f"\\fB{code}\\fR", meaning]
    lines += [".SH EXAMPLES", ".nf", *(roff(line) for line in page.examples), ".fi"]
    if others:
        lines += [".SH SEE ALSO", ", ".join(f"\\fB{roff(other)}\\fR(1)" for other in others)]
    return "\n".join(lines) + "\n"


def choices(program, option, has_list):
    """The words that an option takes, from what it says to one that it does not take."""
    name = option.names[-1]
    # --list is the last to be looked at: a second fault, so that nothing runs where '@' is taken.
    # Where there is no --list, nothing runs without a file.
    second = ["--list=@"] if has_list and name != "--list" else []
    said = ask(program, f"{name}=@", *second, expected=2)
    found = re.search(rf": {name} is '@'; it must be one of ([\w, .-]+)", said)
    return found[1].strip().split(", ") if found else []


def topic_of(option, topics):
    """--strategy takes what --list strategies prints."""
    return next((topic for topic in topics if topic[:4] == option.names[-1][2:6]), None)


def names_and_keys(listing):
    """{name: {key: words it takes}} from a --list text."""
    names, keys = {}, {}
    for line in listing.splitlines():
        if not line.startswith(" "):
            keys = names.setdefault(line.split("  ")[0], {})
        elif found := re.match(r"    ([\w.-]+)=\S*\s{2,}(.*?)(?:\s{2,}|$)", line):
            keys[found[1]] = found[2].split("|") if "|" in found[2] else []
    return names


def completion(name, program, page):
    options, values, keys, words = [], {}, {}, {}
    taking = [option for option in page.options() if option.names[0].startswith("-")]
    # sbp-sweep's --list is another: it takes no value.
    has_list = any(option.names[-1] == "--list" and option.value for option in taking)
    topics = next((choices(program, option, has_list) for option in taking
                   if option.names[-1] == "--list"), []) if has_list else []
    if has_list and not topics:
        sys.exit(f"write_pages.py: '{program}' does not say what --list takes")
    for option in taking:
        options += option.names
        kind = option.value.split()[0] if option.value else ""
        topic = topic_of(option, topics) if kind == "SPEC" else None
        if topic:
            for spec, its in names_and_keys(ask(program, "--list", topic)).items():
                values.setdefault(topic, []).append(spec)
                keys[f"{topic} {spec}"] = list(its)
                words.update({f"{topic} {spec} {key}": w for key, w in its.items() if w})
        elif kind and kind not in ("N", "SPEC", "FILE", "DIR", "FOLDER", "RATE", "RATIO"):
            values[option.names[-1]] = choices(program, option, has_list)
        if kind:
            for each in option.names:
                values[each] = values.get(option.names[-1], [])
                values[each] = [f"@{topic}"] if topic else values[each]
                values[each] = ["@files"] if kind in ("FILE", "DIR", "FOLDER") else values[each]

    def table(variable, entries):
        rows = (f"    [{shlex.quote(key)}]={shlex.quote(' '.join(entry))}"
                for key, entry in entries.items())
        return f"  local -A {variable}=(\n" + "".join(f"{row}\n" for row in rows) + "  )\n"

    positional = any(not option.names[0].startswith("-") for option in page.options())
    data = (f"  local options={shlex.quote(' '.join(options))}\n"
            f"  local positional={'yes' if positional else 'no'}\n"
            + table("values", values) + table("keys", keys) + table("words", words))
    text = COMPLETION.read_text()
    return text.replace("@FUNCTION@", "_" + name.replace("-", "_")).replace("@NAME@", name) \
        .replace("  @DATA@\n", data)


def main():
    folder = pathlib.Path(sys.argv[1])
    programs = {pathlib.Path(path).name: path for path in sys.argv[2:]}
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("man1", "completions"):
        (folder / part).mkdir(parents=True)
    for name, program in programs.items():
        page = Help(ask(program, "--help"))
        version = ask(program, "--version").strip()
        others = [other for other in programs if other != name]
        (folder / "man1" / f"{name}.1").write_text(man_page(name, version, page, others))
        (folder / "completions" / name).write_text(completion(name, program, page))


main()
