"""Every documented path goes to its own service, by each of the tables, in whatever order they are tried."""

import itertools
import re
import unittest
import uuid

import generate
from generate import DOCUMENTATION, FALLBACK, ROOT, SERVICES, documents
from world import kind, overlay

UUIDS = [str(uuid.UUID(int=0)), str(uuid.UUID(int=2**128 - 1)).upper(), "0190d3a0-0000-7000-8000-000000000001"]
TEXTS = ["demo", "VIP customer", "ü", "a.b", "stats", "goals", "docs", "events", "batch", "0190d3a0-0000-7000-8000-000000000001"]


def samples(document, path):
    """Addresses that the path stands for."""
    schemas = generate.formats(document, path)
    choices = [
        schemas[part[1:-1]].get("enum") or (UUIDS if schemas[part[1:-1]].get("format") == "uuid" else TEXTS)
        if part.startswith("{")
        else [part]
        for part in path.split("/")
    ]
    return ["/".join(parts) for parts in itertools.product(*choices)]


def documented():
    """Service and address, of every path that one service alone has."""
    for service, document in documents().items():
        for path in generate.own_paths(document):
            for address in samples(document, path):
                yield service, address


def ingress_rules(objects):
    """Expression, service and rewriting in the order in which ingress-nginx tries them: longer ones first, then by the text."""
    found = []
    for one in kind(objects, "Ingress"):
        rewrite = one["metadata"]["annotations"].get("nginx.ingress.kubernetes.io/rewrite-target")
        for path in one["spec"]["rules"][0]["http"]["paths"]:
            service = path["backend"]["service"]["name"].removeprefix("goalpost-")
            found.append((path["path"], service, rewrite))
    found.sort(key=lambda rule: rule[0], reverse=True)
    return sorted(found, key=lambda rule: len(rule[0]), reverse=True)


def matching(rules, address):
    """The rules whose expression begins the address, in any case of letters, as in `location ~* "^…"`."""
    return [rule for rule in rules if re.match(rule[0], address, re.IGNORECASE)]


def faults(rules, addresses):
    """Addresses that do not go to their own service, or that two rules beside the fallback take."""
    for service, address in addresses:
        found = matching(rules, address)
        own = [rule for rule in found if rule[0] != "/api/"]
        if not found or found[0][1] != service or len(own) != 1 or own[0][1] != service:
            yield f"{address} of {service} goes to {[rule[1] for rule in found]}"


class Tables(unittest.TestCase):
    def setUp(self):
        self.rules = ingress_rules(overlay("production"))

    def test_the_files_are_current(self):
        for name, text in generate.files(documents()).items():
            self.assertEqual(text, (ROOT / name).read_text(), f"{name} is stale: run scripts/manifests --write")

    def test_every_documented_path_goes_to_its_own_service(self):
        addresses = list(documented())
        self.assertGreater(len(addresses), 200)
        self.assertEqual([], list(faults(self.rules, addresses)))

    def test_order_does_not_matter(self):
        last = [rule for rule in self.rules if rule[0] == "/api/"]
        others = [rule for rule in reversed(self.rules) if rule[0] != "/api/"]
        self.assertEqual([], list(faults(others + last, documented())))

    def test_a_table_without_narrowing_is_noticed(self):
        spoiled = [(path.replace(generate.UUID, generate.ANYTHING), *rest) for path, *rest in self.rules]
        found = list(faults(spoiled, documented()))
        self.assertTrue(found)
        self.assertTrue(all("/goals/stats" in each or "/goals/simulate" in each for each in found), found)

    def test_a_rule_that_is_lost_or_leads_elsewhere_is_noticed(self):
        for at, (path, service, rewrite) in enumerate(self.rules):
            if rewrite or path == "/api/":
                continue
            other = "ingest" if service != "ingest" else "goals"
            rest = self.rules[:at] + self.rules[at + 1 :]
            for spoiled in (rest, [*rest, (path, other, None)]):
                with self.subTest(path):
                    self.assertTrue(list(faults(spoiled, documented())))

    def test_ids_that_are_none_are_answered_by_a_service(self):
        for address, service in [
            ("/api/v1/workflows/none", "goals"),
            ("/api/v1/workflows/none/goals/none", "goals"),
            ("/api/v1/workflows/none/goals/stats", "analytics"),
            ("/api/v1/workflows/none/enrollments", "evaluator"),
            # A slash in a reference's id, as nginx sees it.
            ("/api/v1/references/form/a/b", "goals"),
            ("/api/v1/nothing", FALLBACK),
            ("/api/v1/eventsandmore", FALLBACK),
        ]:
            self.assertEqual(service, matching(self.rules, address)[0][1], address)

    def test_documentation_is_behind_the_name_of_its_service(self):
        for service, path in itertools.product(SERVICES, DOCUMENTATION):
            path = path.replace("{file}", "swagger-ui.css")
            found = matching(self.rules, f"/{service}{path}")
            self.assertEqual([service], [rule[1] for rule in found])
            expression, _, rewrite = found[0]
            arrived = re.sub(expression, rewrite.replace("$1", r"\1"), f"/{service}{path}")
            self.assertEqual(path, arrived)

    def test_nothing_else_is_reached(self):
        for address in ["/", "/metrics", "/health/live", "/health/ready", "/docs", "/openapi.json", "/ingest/metrics", "/ingest/docs/../metrics"]:
            self.assertEqual([], matching(self.rules, address), address)

    def test_the_gateway_has_the_same_table(self):
        rules = []
        for rule in kind(overlay("production-gateway"), "HTTPRoute")[0]["spec"]["rules"]:
            service = rule["backendRefs"][0]["name"].removeprefix("goalpost-")
            for match in rule["matches"]:
                expression = match["path"]["value"].removeprefix("^")
                if match["path"]["type"] != "RegularExpression":
                    expression = re.escape(expression) + {"Exact": "$", "PathPrefix": "(/|$)"}[match["path"]["type"]]
                rules.append((expression, service, None))
        self.assertEqual([], list(faults(rules, documented())))
        for service, path in itertools.product(SERVICES, DOCUMENTATION):
            self.assertEqual([service], [rule[1] for rule in matching(rules, f"/{service}{path}")])
        self.assertEqual([], kind(overlay("production-gateway"), "Ingress"))

    def test_paths_that_cannot_be_told_apart_are_refused(self):
        parameter = {"name": "id", "in": "path", "schema": {"type": "string"}}
        one = {"paths": {"/api/v1/things/{id}": {"get": {"parameters": [parameter]}}}}
        other = {"paths": {"/api/v1/things/all": {"get": {}}}}
        with self.assertRaisesRegex(SystemExit, "cannot be told apart"):
            generate.table({"ingest": one, "goals": other})
        parameter["schema"]["format"] = "uuid"
        table = generate.table({"ingest": one, "goals": other})
        self.assertEqual([("ingest", "/api/v1/things/[0-9A-Fa-f-]+$"), ("goals", "/api/v1/things/all$")], table)

    def test_a_new_path_makes_the_files_stale(self):
        changed = documents()
        changed["goals"]["paths"]["/api/v1/new"] = {"get": {}}
        before, after = generate.files(documents()), generate.files(changed)
        routes = {name for name in before if before[name] != after[name]}
        self.assertEqual({"deploy/k8s/base/routes.yaml", "deploy/k8s/components/gateway/route.yaml", "deploy/compose/nginx.conf"}, routes)


if __name__ == "__main__":
    unittest.main()
