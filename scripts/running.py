"""What scripts share that look at a running Goalpost: a `goalpost dev --ephemeral` of the last build, and Python tools below target/."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()


def ends(why):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {why}")


def tools(requirements, folder):
    """The programs of a requirements file, installed if they are not there or of other versions."""
    stamp = folder / "requirements.txt"
    wanted = requirements.read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        if sys.version_info < (3, 10):
            ends("this needs Python 3.10 or later")
        if subprocess.run([sys.executable, "-m", "venv", "--clear", folder]).returncode != 0:
            ends("this needs Python's venv and pip (Debian: python3-venv)")
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", requirements], check=True)
        stamp.write_text(wanted)
    return folder / "bin"


class Dev:
    """A `goalpost dev --ephemeral`, ended with the block."""

    def __init__(self):
        self.program = TARGET / "debug/goalpost"
        if not self.program.exists():
            ends("build it first: cargo build --workspace --bin goalpost")
        self.folder = tempfile.TemporaryDirectory()
        # The servers' users must be able to enter it.
        os.chmod(self.folder.name, 0o755)

    def __enter__(self):
        kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "AMQP_URL")}
        # One caller asks for everything, and a refusal for that would hide what else is answered.
        kept["GOALPOST__HTTP__RATE_LIMIT__PER_MINUTE"] = "0"
        log = open(pathlib.Path(self.folder.name) / "dev.log", "wb")
        arguments = [self.program, "dev", "--ephemeral", "--json"]
        self.process = subprocess.Popen(arguments, cwd=self.folder.name, env=kept, stdout=log, stderr=log)
        place = pathlib.Path(self.folder.name) / ".goalpost/dev.json"
        limit = time.monotonic() + 90
        while not place.exists():
            if self.process.poll() is not None or time.monotonic() > limit:
                ends("goalpost dev did not start:\n" + pathlib.Path(log.name).read_text())
            time.sleep(0.1)
        self.place = json.loads(place.read_text())
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.folder.cleanup()

    def url(self, service):
        return self.place["services"][service]["url"]

    def ask(self, service, path, body=None, secret=None, method=None):
        """The status and the answer; with a body it is a POST unless said."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url(service) + path, data, method=method)
        request.add_header("Authorization", "Bearer " + (secret or self.place["api_key"]))
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def post(self, service, path, body, secret=None):
        """The answer, which must be a good one."""
        status, answer = self.ask(service, path, body, secret)
        if status >= 300:
            ends(f"{path} is answered {status}: {answer}")
        return answer
