"""Every object against the schemas of Kubernetes, strictly: what they do not have is refused."""

import copy
import functools
import json
import unittest

import jsonschema
import kubernetes_validate

from generate import ROOT
from world import OVERLAYS, examples, kind, name, overlay

OLDEST, NEWEST = "1.29", "1.37"
OF_OPERATORS = ROOT / "scripts/deploy/schemas"


@functools.cache
def operators_schema(which):
    path = OF_OPERATORS / f"{which}.json"
    return json.loads(path.read_text()) if path.exists() else None


def fault(one, version):
    """What a schema has against an object."""
    schema = operators_schema(one["kind"])
    try:
        if schema:
            jsonschema.validate(one, schema, cls=jsonschema.Draft202012Validator)
        else:
            kubernetes_validate.validate(one, version, strict=True)
    except jsonschema.ValidationError as error:
        return f"{name(one)} ({version}): {error.json_path}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        return f"{name(one)} ({version}): there is no schema of {one['apiVersion']}"
    return None


class Schemas(unittest.TestCase):
    def test_every_object_is_valid(self):
        for where, objects in [*((each, overlay(each)) for each in OVERLAYS), ("examples", examples())]:
            for version in (OLDEST, NEWEST):
                with self.subTest(where, version=version):
                    self.assertEqual([], [each for each in (fault(one, version) for one in objects) if each])

    def test_no_schema_is_left_over(self):
        used = {one["kind"] for each in OVERLAYS for one in overlay(each)} | {one["kind"] for one in examples()}
        self.assertEqual(set(), {path.stem for path in OF_OPERATORS.glob("*.json")} - used)

    def test_an_unknown_field_is_refused_in_every_kind(self):
        seen = {}
        for one in [*overlay("production"), *overlay("production-gateway"), *examples()]:
            seen.setdefault(one["kind"], one)
        for one in seen.values():
            spoiled = copy.deepcopy(one)
            spoiled.get("spec", spoiled)["unknown"] = "x"
            with self.subTest(one["kind"]):
                self.assertIsNone(fault(one, NEWEST))
                self.assertRegex(fault(spoiled, NEWEST), "unknown")

    def test_deeper_faults_are_refused(self):
        def container(one):
            return one["spec"]["template"]["spec"]["containers"][0]

        for spoil, said in [
            (lambda one: container(one)["livenessProbe"].update(periodSecond=3), "periodSecond"),
            (lambda one: container(one)["ports"][0].update(containerPort="http"), "integer"),
            (lambda one: one["spec"]["template"]["spec"].update(terminationGracePeriodSeconds="45"), "integer"),
            (lambda one: one["spec"].pop("selector"), "selector"),
            (lambda one: one.update(apiVersion="apps/v1beta9"), "no schema"),
        ]:
            one = kind(overlay("production"), "Deployment")[0]
            spoil(one)
            self.assertRegex(fault(one, NEWEST) or "", said)


if __name__ == "__main__":
    unittest.main()
