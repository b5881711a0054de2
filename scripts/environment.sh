# shellcheck shell=bash
# Shared by the scripts beside it: a Python that is new enough, and a virtual environment with masklet
# and the exact versions of constraints.txt. To be sourced by bash, not run.

# Prints the command of a Python >= 3.10: $PYTHON if it is set, or else the first one that is found.
find_python() {
    local candidate candidates=(python3 python3.13 python3.12 python3.11 python3.10 python)
    [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    if [ -n "${PYTHON:-}" ]; then
        echo "PYTHON=$PYTHON is no Python 3.10 or newer; set PYTHON to one, or unset it to search for one" >&2
    else
        echo "no Python 3.10 or newer found; install one, or say where it is: PYTHON=/path/to/python $0" >&2
    fi
    return 1
}

# Installs what the tests of the annotator need where it is missing and may be installed, else says so: Chromium, which
# they drive, and TypeScript, which checks the types of the page.
install_browser() {
    local browser="${CHROMIUM:-/usr/bin/chromium}" missing=()
    [ -x "$browser" ] || missing+=(chromium)
    command -v tsc >/dev/null || missing+=(node-typescript)
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        if (apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}") >/dev/null 2>&1; then
            return
        fi
    fi
    echo "missing, and not installed: ${missing[*]}; tests that need them are skipped" >&2
}

# make_environment FOLDER REQUIREMENT: a virtual environment in FOLDER with REQUIREMENT (such as
# '.[test]') installed. One that was made before from the same pyproject.toml, constraints.txt and
# Python is kept as it is. Runs in the repository's root.
make_environment() {
    local folder="$1" requirement="$2" python stamp torch
    python="$(find_python)"
    stamp="$("$python" -c '
import hashlib, pathlib, sys
parts = [sys.version, sys.executable, sys.argv[1], str(pathlib.Path.cwd())]
parts += [pathlib.Path(name).read_text() for name in ("pyproject.toml", "constraints.txt")]
print(hashlib.sha256("\0".join(parts).encode()).hexdigest())' "$requirement")"
    if [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ]; then
        echo "$folder is up to date"
        return
    fi

    rm -rf "$folder"
    if ! "$python" -m venv "$folder"; then
        echo "$python cannot make virtual environments; install its venv module (python3-venv on Debian and Ubuntu)" >&2
        return 1
    fi
    # torch first and by its exact version: a build that is at hand is taken, whichever else exists. Modules are compiled
    # when they are first imported: most never are.
    torch="$(grep '^torch==' constraints.txt)"
    "$folder/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt "$torch"
    "$folder/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e "$requirement"
    echo "$stamp" > "$folder/.stamp"
}
