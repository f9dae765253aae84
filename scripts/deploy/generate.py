"""The files below deploy/ that follow from others: the route tables from proto-schemas/http, the rules from deploy/prometheus.

    generate.py            writes them

One origin serves all four services. A path of a document becomes an expression; a parameter is anything but a slash. Where a fixed
word of one service could be taken for a parameter of another (`…/goals/stats` for `…/goals/{goal_id}`), that parameter is narrowed
to what a UUID is made of, so the tables mean the same in whatever order they are tried.
"""

import itertools
import json
import pathlib
import re
import tomllib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ("ingest", "goals", "evaluator", "analytics")
# Answers, as a problem document, for paths that no document has.
FALLBACK = "goals"
ANYTHING, UUID = "[^/]+", "[0-9A-Fa-f-]+"
# Every service has these: behind the name of the service.
DOCUMENTATION = ("/docs", "/docs/{file}", "/openapi.json")
HEADER = "# Written by scripts/deploy/generate.py; a test compares.\n"


def documents():
    return {name: json.loads((ROOT / f"proto-schemas/http/{name}.json").read_text()) for name in SERVICES}


def own_paths(document):
    return [path for path in document["paths"] if path not in DOCUMENTATION]


def is_parameter(segment):
    return segment.startswith("{")


def formats(document, path):
    """What each parameter of a path may be: its schema by its name."""
    item = document["paths"][path]
    lists = [item.get("parameters", [])] + [operation.get("parameters", []) for operation in item.values() if isinstance(operation, dict)]
    return {one["name"]: one["schema"] for one in itertools.chain(*lists) if one["in"] == "path"}


def meet(one, other):
    """Whether two paths could be meant by the same address."""
    one, other = one.split("/"), other.split("/")
    return len(one) == len(other) and all(a == b or is_parameter(a) or is_parameter(b) for a, b in zip(one, other))


def narrowed(path, schemas, others):
    """The parameters of `path` that stand where a path of another service has a word."""
    found = set()
    for other in others:
        if not meet(path, other):
            continue
        for segment, word in zip(path.split("/"), other.split("/")):
            if is_parameter(segment) and not is_parameter(word) and schemas[segment[1:-1]].get("format") == "uuid":
                if not re.fullmatch(UUID, word):
                    found.add(segment)
    return found


def apart(path, narrow, other):
    """Whether a narrowed parameter keeps `path` from meaning what `other` does."""
    pairs = zip(path.split("/"), other.split("/"))
    return any(segment in narrow and not is_parameter(word) for segment, word in pairs)


def expression(path, narrow):
    words = [(UUID if one in narrow else ANYTHING) if is_parameter(one) else re.escape(one).replace(r"\-", "-") for one in path.split("/")]
    return "/".join(words) + "$"


def table(documents):
    """Service and expression of every path, in the order of services and documents."""
    paths = {service: own_paths(document) for service, document in documents.items()}
    routes = []
    narrow = {}
    for service, document in documents.items():
        others = [path for other in documents if other != service for path in paths[other]]
        for path in paths[service]:
            narrow[service, path] = narrowed(path, formats(document, path), others)
            routes.append((service, expression(path, narrow[service, path])))
    for (service, path), (other, second) in itertools.combinations(narrow, 2):
        if service != other and meet(path, second):
            if not (apart(path, narrow[service, path], second) or apart(second, narrow[other, second], path)):
                raise SystemExit(f"generate: {path} of {service} and {second} of {other} cannot be told apart")
    return routes


def ingress(name, annotations, paths):
    def entry(service, path):
        backend = {"service": {"name": f"goalpost-{service}", "port": {"name": "http"}}}
        return {"path": path, "pathType": "ImplementationSpecific", "backend": backend}

    annotations = {f"nginx.ingress.kubernetes.io/{key}": value for key, value in annotations.items()}
    rule = {"host": "goalpost.example.com", "http": {"paths": [entry(*path) for path in paths]}}
    spec = {"ingressClassName": "nginx", "rules": [rule]}
    metadata = {"name": name, "annotations": annotations}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def ingresses(routes):
    """In the dialect of ingress-nginx, which tries longer expressions first."""
    # More than any body a service takes, so that the service says that it is too large.
    size = {"use-regex": "true", "proxy-body-size": "2m"}
    documentation = {"use-regex": "true", "rewrite-target": "/$1"}
    pages = [(service, rf"/{service}/(docs|docs/[^/]+|openapi\.json)$") for service in SERVICES]
    return [
        ingress("goalpost", size, [*routes, (FALLBACK, "/api/")]),
        ingress("goalpost-documentation", documentation, pages),
    ]


def gateway_route(routes):
    """The same for the Gateway API. It has no fallback: there, what precedes what is left to each implementation."""

    def rule(service, matches, rewrite=None):
        made = {"matches": [{"path": match} for match in matches]}
        if rewrite:
            made["filters"] = [{"type": "URLRewrite", "urlRewrite": {"path": rewrite}}]
        return made | {"backendRefs": [{"name": f"goalpost-{service}", "port": port(service)}]}

    rules = []
    for service in SERVICES:
        paths = [{"type": "RegularExpression", "value": "^" + path} for owner, path in routes if owner == service]
        page, document = f"/{service}/docs", f"/{service}/openapi.json"
        prefix = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/docs"}
        whole = {"type": "ReplaceFullPath", "replaceFullPath": "/openapi.json"}
        rules += [
            rule(service, paths),
            rule(service, [{"type": "PathPrefix", "value": page}], prefix),
            rule(service, [{"type": "Exact", "value": document}], whole),
        ]
    parent = {"name": "goalpost", "namespace": "gateway-system"}
    spec = {"parentRefs": [parent], "hostnames": ["goalpost.example.com"], "rules": rules}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "goalpost"}, "spec": spec}


def port(service):
    """The public port that a service has unless it is told otherwise."""
    return tomllib.loads((ROOT / f"services/{service}/default.toml").read_text())["http"]["port"]


def nginx(routes):
    """The same for the nginx of compose.yml."""
    lines = [f"upstream {service} {{ server {service}:{port(service)}; }}" for service in SERVICES]
    lines += ["", "server {", "    listen 8080;", "    client_max_body_size 2m;", "    proxy_http_version 1.1;"]
    lines += ["    proxy_set_header Host $http_host;", '    proxy_set_header Connection "";', ""]
    lines += [f'    location ~ "^{path}" {{ proxy_pass http://{service}; }}' for service, path in routes]
    for service in SERVICES:
        lines.append(rf'    location ~ "^/{service}/(docs|docs/[^/]+|openapi\.json)$" {{ proxy_pass http://{service}/$1; }}')
    lines += [f"    location /api/ {{ proxy_pass http://{FALLBACK}; }}", "    location / { return 404; }", "}"]
    return HEADER + "\n".join(lines) + "\n"


def prometheus_rule():
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "goalpost"}, "spec": rules}


def as_yaml(objects):
    return HEADER + yaml.safe_dump_all(objects, sort_keys=False, width=1000, allow_unicode=True)


def files(documents):
    """What each generated file has to say."""
    routes = table(documents)
    return {
        "deploy/k8s/base/routes.yaml": as_yaml(ingresses(routes)),
        "deploy/k8s/components/gateway/route.yaml": as_yaml([gateway_route(routes)]),
        "deploy/k8s/components/monitoring/rules.yaml": as_yaml([prometheus_rule()]),
        "deploy/compose/nginx.conf": nginx(routes),
    }


if __name__ == "__main__":
    for name, text in files(documents()).items():
        (ROOT / name).write_text(text)
