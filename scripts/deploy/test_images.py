"""The Dockerfile, compose.yml and the examples, against the code."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest

import yaml

from generate import ROOT, SERVICES
from world import COMMANDS, PROGRAM, binaries, defaults, effective, examples, kind, named, overlay, parsed, targets, template, version

TOOLS = pathlib.Path(sys.executable).parent
DOCKERFILE = ROOT / "deploy/Dockerfile"
# What gcr.io/distroless/cc has of what a program may be linked with.
LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def linted(text):
    return subprocess.run([TOOLS / "hadolint", "-"], input=text, capture_output=True, text=True)


class Images(unittest.TestCase):
    def setUp(self):
        self.text = DOCKERFILE.read_text()

    def test_the_dockerfile_has_no_faults(self):
        made = linted(self.text)
        self.assertEqual((0, ""), (made.returncode, made.stdout))
        self.assertRegex(linted(re.sub(r"FROM rust:\S+", "FROM rust:latest", self.text)).stdout, "DL3007")

    def test_there_is_a_target_for_every_program(self):
        self.assertEqual({service: f"goalpost-{service}" for service in SERVICES} | {COMMANDS: COMMANDS}, targets())
        self.assertLessEqual(set(targets().values()), binaries())
        self.assertEqual(set(targets().values()), set(re.findall(r"--bin (\S+)", self.text)))
        for target, program in targets().items():
            stage = self.text.split(f"AS {target}\n")[1].split("FROM")[0]
            self.assertIn(f'ENTRYPOINT ["/usr/local/bin/{program}"]', stage)
            if target in SERVICES:
                http = defaults(target)["http"]
                self.assertIn(f"EXPOSE {http['port']} {http['admin_port']}\n", stage)

    def test_the_compiler_is_the_one_of_the_repository(self):
        channel = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
        self.assertIn(f"FROM rust:{channel}-slim-bookworm ", self.text)
        self.assertIn(f"RUSTUP_TOOLCHAIN={channel}\n", self.text)

    def test_nobody_is_root(self):
        user = re.search(r"AS runtime\n(?:LABEL.*\n)?USER (\d+):(\d+)\n", self.text)
        self.assertEqual({"65532"}, set(user.groups()))
        self.assertNotIn("USER", self.text.split("AS runtime")[1].split("\n", 3)[3])

    def test_the_programs_need_what_the_image_has(self):
        made = subprocess.run(["readelf", "--dynamic", PROGRAM], capture_output=True, text=True, check=True)
        needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", made.stdout))
        self.assertTrue(needed)
        self.assertLessEqual(needed, LIBRARIES)

    def test_what_is_compiled_in_is_sent_to_the_build(self):
        ignored = [line for line in (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines() if line and line[0] != "#"]
        kept = [line[1:] for line in ignored if line[0] == "!"]
        found = set()
        for folder in ("crates", "services"):
            for path in (ROOT / folder).glob("*/src/**/*.rs"):
                for inside in re.findall(r'include_(?:str|bytes)!\((?:concat!\()?"([^"]+)"', path.read_text()):
                    found.add("/" + os.path.relpath(path.parent / inside, ROOT))
        self.assertTrue({"/deploy/demo/cdnow_master.txt.gz", "/migrations/roles.sql"} <= found)
        for path in found:
            out = any(path.startswith(each) for each in ignored) and not any(path.startswith(each) for each in kept)
            self.assertFalse(out, f"{path} is compiled in, and not sent")


class Compose(unittest.TestCase):
    """In a copy with secrets, because compose reads them."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.deploy = pathlib.Path(cls.folder.name) / "deploy"
        shutil.copytree(ROOT / "deploy/compose", cls.deploy / "compose", ignore=shutil.ignore_patterns("secrets"))
        shutil.copy(ROOT / "deploy/compose.yml", cls.deploy)
        subprocess.run([cls.deploy / "compose/make-secrets"], check=True)
        cls.services = yaml.safe_load(cls.configured((cls.deploy / "compose.yml").read_text()).stdout)["services"]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def configured(cls, text):
        """What compose itself makes of a file."""
        path = cls.deploy / "tried.yml"
        path.write_text(text)
        command = [TOOLS / "docker-compose", "-f", path, "--profile", "operator", "config"]
        return subprocess.run(command, capture_output=True, text=True)

    def test_compose_takes_it_and_would_not_take_another(self):
        text = (self.deploy / "compose.yml").read_text()
        made = self.configured(text)
        self.assertEqual((0, ""), (made.returncode, made.stderr))
        for right, wrong in [("read_only:", "readonly:"), ("grace_period: 45s", "grace_period: soon"), ("- bus_url\n", "- bus\n")]:
            spoiled = text.replace(right, wrong)
            self.assertNotEqual(text, spoiled)
            self.assertNotEqual(0, self.configured(spoiled).returncode, wrong)

    def test_services_take_their_settings_and_secrets(self):
        folder = self.deploy / "compose/secrets"
        for service in SERVICES:
            one = self.services[service]
            environment = one["environment"]
            settings, complaint = effective(service, environment)
            self.assertIsNone(complaint)
            self.assertEqual(defaults(service)["http"]["port"], settings["http"]["port"])
            files = {value for key, value in environment.items() if key.endswith("_FILE")}
            mounted = {f"/run/secrets/{each.get('target', each['source']).rsplit('/')[-1]}" for each in one["secrets"]}
            self.assertEqual(files, mounted)
            for each in one["secrets"]:
                login = "goalpost" if each["source"] == "bus_url" else f"goalpost_{service}"
                self.assertIn(f"//{login}", (folder / each["source"]).read_text())

    def test_images_users_and_limits_are_those_of_kubernetes(self):
        objects = overlay("development")
        for service in SERVICES:
            one = self.services[service]
            container = template(named(objects, "Deployment", f"goalpost-{service}"))["spec"]["containers"][0]
            self.assertEqual((container["image"], service), (one["image"], one["build"]["target"]))
            self.assertEqual(parsed(container["resources"]["limits"]["memory"]), int(one["mem_limit"]))
        for name, one in self.services.items():
            if one["image"].startswith("goalpost/"):
                self.assertEqual(("65532:65532", True, ["ALL"]), (one["user"], one["read_only"], one["cap_drop"]), name)
                self.assertTrue(one["image"].endswith(f":{version()}"))

    def test_commands_exist(self):
        for name in ("migrate", "maintain"):
            made = subprocess.run([PROGRAM, *self.services[name]["command"], "--help"], capture_output=True)
            self.assertEqual(0, made.returncode)

    def test_the_gateway_asks_every_admin_port(self):
        asked = set(re.findall(r"(\w+):(\d+)", str(self.services["gateway"]["healthcheck"]["test"])))
        self.assertEqual({(service, str(defaults(service)["http"]["admin_port"])) for service in SERVICES}, asked)

    def test_every_login_has_a_password_and_keeps_it(self):
        folder = self.deploy / "compose/secrets"
        self.assertEqual(0o700, folder.stat().st_mode & 0o777)
        before = {path.name: path.read_text() for path in folder.iterdir()}
        self.assertEqual(logins(), set(re.findall(r"ALTER ROLE (\w+) PASSWORD '[0-9a-f]{48}'", before["passwords.sql"])))
        subprocess.run([self.deploy / "compose/make-secrets"], check=True)
        self.assertEqual(before, {path.name: path.read_text() for path in folder.iterdir()})


def logins():
    text = (ROOT / "crates/pg/src/migrate.rs").read_text()
    return set(re.findall(r'"(goalpost_\w+)"', text.split("pub const LOGINS")[1].split("];")[0]))


class Examples(unittest.TestCase):
    def test_roles_are_those_of_the_migrations(self):
        text = (ROOT / "migrations/roles.sql").read_text()
        roles = {one["name"]: one for one in kind(examples(), "Cluster")[0]["spec"]["managed"]["roles"]}
        self.assertEqual(set(re.findall(r"'(goalpost_\w+)'", text)), set(roles))
        self.assertEqual(logins(), {name for name, one in roles.items() if one["login"]})
        self.assertEqual(logins(), {name for name, one in roles.items() if "passwordSecret" in one})
        self.assertEqual(set(re.findall(r"ALTER ROLE (\w+) INHERIT", text)), {name for name, one in roles.items() if one["inherit"]})
        self.assertEqual(set(re.findall(r"ALTER ROLE (\w+) BYPASSRLS", text)), {name for name, one in roles.items() if one.get("bypassrls")})
        granted = set()
        for group, member in re.findall(r"GRANT ([\w, ]+) TO (\w+);", text):
            granted |= {(each.strip(), member) for each in group.split(",")}
        self.assertEqual(granted, {(group, name) for name, one in roles.items() for group in one.get("inRoles", [])})


if __name__ == "__main__":
    unittest.main()
