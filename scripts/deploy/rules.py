"""What the manifests have to be. A rule takes the objects of an overlay and yields what is wrong with them."""

import re
import subprocess

from generate import ROOT, SERVICES
from world import (
    COMMANDS,
    KUBERNETES,
    PROGRAM,
    SECRET_FILE,
    effective,
    environment,
    examples,
    kind,
    name,
    named,
    parsed,
    service_of,
    targets,
    template,
    version,
    workloads,
)

MI = 2**20
# spec: what each may need at most, idle, and the evaluator with 100,000 goals. A service reads at most 128 MiB of bodies at once.
IDLE = {"ingest": 64 * MI, "goals": 64 * MI, "evaluator": 256 * MI, "analytics": 64 * MI}
BODIES = 128 * MI
TRACES_SECONDS = 3
MOUNT = "/run/secrets/goalpost"


def everything_is_there(objects):
    """The four services, the migrations, the maintenance, and nothing else that runs."""
    expected = {f"Deployment goalpost-{service}" for service in SERVICES} | {"Job goalpost-migrate", "CronJob goalpost-maintain"}
    found = {name(one) for one in workloads(objects)}
    if found != expected:
        yield f"what runs is {sorted(found)}"
    for one in objects:
        if one["kind"] != "Namespace" and one["metadata"].get("namespace") != "goalpost":
            yield f"{name(one)} is not in the namespace"


def pods_are_hardened(objects):
    for one in workloads(objects):
        spec = template(one)["spec"]
        security = spec.get("securityContext", {})
        if not (security.get("runAsNonRoot") and security.get("runAsUser", 0) > 0 and security.get("runAsGroup", 0) > 0):
            yield f"{name(one)} may run as root"
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name(one)} has no seccomp profile"
        if spec.get("automountServiceAccountToken") is not False or spec.get("enableServiceLinks") is not False:
            yield f"{name(one)} is given a token or the addresses of services"
        if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{name(one)} is on the node"
        for container in spec["containers"] + spec.get("initContainers", []):
            held = container.get("securityContext", {})
            if held.get("allowPrivilegeEscalation") is not False or held.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{name(one)} may have more than it needs"
            if held.get("readOnlyRootFilesystem") is not True:
                yield f"{name(one)} may write to its root"
            if held.get("privileged") or "runAsUser" in held:
                yield f"{name(one)} leaves what its pod says"


def resources_are_bounded(objects):
    for one in workloads(objects):
        for container in template(one)["spec"]["containers"]:
            resources = container.get("resources", {})
            for side in ("requests", "limits"):
                if set(resources.get(side, {})) != {"cpu", "memory"}:
                    yield f"{name(one)} has no {side}"
    for one in kind(objects, "Deployment"):
        service = service_of(one)
        container = template(one)["spec"]["containers"][0]
        memory = {side: parsed(amounts["memory"]) for side, amounts in container.get("resources", {}).items() if "memory" in amounts}
        if memory.get("requests", 0) < IDLE[service]:
            yield f"{name(one)} asks for less memory than it needs idle"
        settings, _ = effective(service, environment(objects, container))
        if settings and memory.get("limits", 0) < IDLE[service] + most_held(service, settings):
            yield f"{name(one)} may hold more than its limit of memory"


def most_held(service, settings):
    """What the settings let a service hold under load, in bytes."""
    if service == "ingest":
        return BODIES + settings["intake"]["queue_max_bytes"] + settings["domain_events"]["prefetch"] * settings["intake"]["max_body_bytes"]
    if service == "evaluator":
        evaluation = settings["evaluation"]
        return BODIES + evaluation["consumers"] * evaluation["prefetch"] * MI
    if service == "analytics":
        return settings["statistics"]["cache_entries"] * 1024
    return BODIES


def services_take_their_settings(objects):
    """Each service itself is asked."""
    for one in kind(objects, "Deployment"):
        for container in template(one)["spec"]["containers"]:
            _, complaint = effective(service_of(one), environment(objects, container))
            if complaint:
                yield f"{name(one)}: {complaint}"


def ports_are_those_of_the_settings(objects):
    for one in kind(objects, "Deployment"):
        container = template(one)["spec"]["containers"][0]
        settings, _ = effective(service_of(one), environment(objects, container))
        http = (settings or {}).get("http", {})
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        if ports != {"http": http.get("port"), "admin": http.get("admin_port")}:
            yield f"{name(one)} says that it listens on {ports}"
        if {http.get("host"), http.get("admin_host")} != {"0.0.0.0"}:
            yield f"{name(one)} listens to itself only"
        service = named(objects, "Service", one["metadata"]["name"]) or {"spec": {}}
        offered = {(port["name"], port["port"], port["targetPort"]) for port in service["spec"].get("ports", [])}
        if offered != {(label, port, label) for label, port in ports.items()}:
            yield f"Service {one['metadata']['name']} offers {sorted(offered)}"


def probes_ask_what_is_there(objects):
    admin = (ROOT / "crates/web/src/admin.rs").read_text()
    expected = {"startupProbe": "/health/live", "livenessProbe": "/health/live", "readinessProbe": "/health/ready"}
    for one in kind(objects, "Deployment"):
        container = template(one)["spec"]["containers"][0]
        for probe, path in expected.items():
            if container.get(probe, {}).get("httpGet") != {"path": path, "port": "admin"} or f'"{path}"' not in admin:
                yield f"{name(one)} has no {probe} of {path}"


def pods_have_time_to_end(objects):
    for one in kind(objects, "Deployment"):
        spec = template(one)["spec"]
        settings, _ = effective(service_of(one), environment(objects, spec["containers"][0]))
        life = (settings or {"life": {}})["life"]
        needed = sum(life.get(part, 0) for part in ("grace_seconds", "drain_seconds", "flush_seconds")) + TRACES_SECONDS
        if spec.get("terminationGracePeriodSeconds", 30) < needed + 5:
            yield f"{name(one)} needs {needed} s to end"
        if "lifecycle" in spec["containers"][0]:
            yield f"{name(one)} waits twice: life.grace_seconds is its preStop"


def companions_are_there(objects):
    for one in kind(objects, "Deployment"):
        own = one["metadata"]["name"]
        labels = template(one)["metadata"]["labels"]
        if one["spec"]["selector"]["matchLabels"] != {"app.kubernetes.io/name": own} or labels.get("app.kubernetes.io/name") != own:
            yield f"{name(one)} does not select its own pods alone"
        account = template(one)["spec"].get("serviceAccountName")
        if account != own or not named(objects, "ServiceAccount", own):
            yield f"{name(one)} has no ServiceAccount of its own"
        service = named(objects, "Service", own)
        if not service or service["spec"]["selector"] != {"app.kubernetes.io/name": own}:
            yield f"{name(one)} has no Service"
        scaler = named(objects, "HorizontalPodAutoscaler", own)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": own}
        if not scaler or scaler["spec"]["scaleTargetRef"] != target or scaler["spec"]["minReplicas"] > scaler["spec"]["maxReplicas"]:
            yield f"{name(one)} has no autoscaler"
        if "replicas" in one["spec"]:
            yield f"{name(one)} would undo its autoscaler with every apply"
        budget = named(objects, "PodDisruptionBudget", own)
        if not budget or budget["spec"]["selector"]["matchLabels"] != {"app.kubernetes.io/name": own}:
            yield f"{name(one)} has no disruption budget"
        spread = template(one)["spec"].get("topologySpreadConstraints", [])
        keys = {each["topologyKey"] for each in spread if each["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": own}}
        if keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
            yield f"{name(one)} is not spread"
        rollout = one["spec"].get("strategy", {}).get("rollingUpdate", {})
        if rollout != {"maxSurge": 1, "maxUnavailable": 0}:
            yield f"{name(one)} is fewer while it is rolled out"
    for one in kind(objects, "Job", "CronJob"):
        if not named(objects, "ServiceAccount", template(one)["spec"].get("serviceAccountName")):
            yield f"{name(one)} has no ServiceAccount of its own"


def services_are_monitored(objects):
    """Where there are monitors at all: the alerts go by a job of the service's name."""
    monitors = kind(objects, "ServiceMonitor")
    for one in kind(objects, "Service") if monitors else []:
        labels, ports = one["metadata"]["labels"], {port["name"] for port in one["spec"]["ports"]}
        found = [
            monitor
            for monitor in monitors
            if monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
            and {(endpoint["port"], endpoint["path"]) for endpoint in monitor["spec"]["endpoints"]} == {("admin", "/metrics")}
            and labels.get(monitor["spec"]["jobLabel"]) == one["metadata"]["name"]
        ]
        if len(found) != 1 or "admin" not in ports or not re.fullmatch("goalpost-.+", one["metadata"]["name"]):
            yield f"{name(one)} is not monitored once, under its name"


def selected(selector, labels):
    expressions = selector.get("matchExpressions", [])
    if any(one["operator"] != "In" for one in expressions):
        raise AssertionError("an operator that is not read here")
    return selector.get("matchLabels", {}).items() <= labels.items() and all(labels.get(one["key"]) in one["values"] for one in expressions)


def peers(policy, direction):
    """Namespace, pods and port of what a policy allows; a rule without peers or ports allows all."""
    key = {"ingress": "from", "egress": "to"}[direction]
    for rule in policy["spec"].get(direction, []):
        for peer in rule.get(key, [None]):
            for port in rule.get("ports", [None]):
                namespace = peer and peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name")
                pods = peer and ",".join(map("=".join, peer.get("podSelector", {}).get("matchLabels", {}).items()))
                yield namespace, pods or None, port and (port["protocol"], port["port"])


def traffic_is_what_is_needed(objects):
    """Every pod is held by policies both ways, and they add up to exactly this."""
    dns = {("kube-system", "k8s-app=kube-dns", (protocol, 53)) for protocol in ("UDP", "TCP")}
    database = {("goalpost-data", "cnpg.io/cluster=goalpost-db", ("TCP", 5432))}
    bus = {("goalpost-data", "app.kubernetes.io/name=goalpost-bus", ("TCP", 5672))}
    edge = "gateway-system" if kind(objects, "HTTPRoute") else "ingress-nginx"
    served = {(edge, None, ("TCP", "http")), ("monitoring", None, ("TCP", "admin"))}
    for one in workloads(objects):
        labels = template(one)["metadata"]["labels"]
        policies = [policy for policy in kind(objects, "NetworkPolicy") if selected(policy["spec"]["podSelector"], labels)]
        held = {direction for policy in policies for direction in policy["spec"]["policyTypes"]}
        if held != {"Ingress", "Egress"}:
            yield f"{name(one)} is not held both ways"
        inward = {peer for policy in policies for peer in peers(policy, "ingress")}
        outward = {peer for policy in policies for peer in peers(policy, "egress")}
        serves = one["kind"] == "Deployment"
        told = serves and any("BUS" in key for key in environment(objects, template(one)["spec"]["containers"][0]))
        if inward != (served if serves else set()):
            yield f"{name(one)} is reached by {sorted(inward, key=str)}"
        if outward != dns | database | (bus if told else set()):
            yield f"{name(one)} reaches {sorted(outward, key=str)}"


def secrets_are_files_of_their_own(objects):
    """By reference only, documented, never another's, and mounted so that a change arrives."""
    readme = (KUBERNETES / "README.md").read_text()
    if kind(objects, "Secret"):
        yield "there is a Secret in the manifests"
    for one in workloads(objects):
        own, spec = one["metadata"]["name"], template(one)["spec"]
        mounted = {}
        for volume in spec.get("volumes", []):
            mounted |= {item["path"]: (volume["secret"]["secretName"], item["key"]) for item in volume["secret"]["items"]}
        used = set(mounted.values())
        for container in spec["containers"]:
            if any(mount["mountPath"] != MOUNT or "subPath" in mount for mount in container.get("volumeMounts", [])):
                yield f"{name(one)} mounts what never changes, or elsewhere"
            files = {key: value for key, value in environment(objects, container).items() if key.endswith(SECRET_FILE)}
            if set(files.values()) != {f"{MOUNT}/{path}" for path in mounted}:
                yield f"{name(one)} names other files than are mounted"
            references = [each["valueFrom"]["secretKeyRef"] for each in container.get("env", []) if "valueFrom" in each]
            used |= {(reference["name"], reference["key"]) for reference in references}
            if any("://" in (value or "") or "PASSWORD" in key for key, value in environment(objects, container).items()):
                yield f"{name(one)} has a secret in clear"
        for secret, key in sorted(used):
            if secret != own:
                yield f"{name(one)} uses {secret}, which is another's"
            if not re.search(rf"^\| `{re.escape(secret)}` \|.*`{re.escape(key)}`", readme, re.MULTILINE):
                yield f"{secret}/{key} is not in deploy/k8s/README.md"
        if not used:
            yield f"{name(one)} has no secrets"


def images_are_of_the_dockerfile(objects):
    programs = targets()
    for one in workloads(objects):
        for container in template(one)["spec"]["containers"]:
            image, _, tag = container["image"].rpartition(":")
            target = image.rsplit("/", 1)[-1]
            wanted = f"goalpost-{target}" if one["kind"] == "Deployment" else COMMANDS
            if programs.get(target) != wanted or (one["kind"] == "Deployment" and target != service_of(one)):
                yield f"{name(one)} runs the image {container['image']}"
            if tag != version():
                yield f"{name(one)} runs {tag}, and this is {version()}"


def jobs_are_commands(objects):
    """Each is asked of the program itself."""
    for one in kind(objects, "Job", "CronJob"):
        container = template(one)["spec"]["containers"][0]
        made = subprocess.run([PROGRAM, *container["args"], "--help"], capture_output=True)
        if made.returncode != 0 or "command" in container:
            yield f"{name(one)}: there is no `goalpost {' '.join(container['args'])}`"
        if set(environment(objects, container)) != {"DATABASE_URL"}:
            yield f"{name(one)} is not told the database, and that alone"
        if template(one)["spec"]["restartPolicy"] != "Never":
            yield f"{name(one)} hides what went wrong"
    cron = named(objects, "CronJob", "goalpost-maintain")
    when = cron and (cron["spec"]["schedule"], cron["spec"].get("timeZone"), cron["spec"].get("concurrencyPolicy"))
    if when != ("0 2 * * *", "Etc/UTC", "Forbid"):
        yield f"the maintenance runs at {when}"


def connections_fit_the_database(objects):
    """All replicas and one more of each while it is rolled out, beside the jobs and what the server keeps for itself."""
    database = next(one for one in examples() if one["kind"] == "Cluster")
    most = int(database["spec"]["postgresql"]["parameters"]["max_connections"])
    needed = 20
    for one in kind(objects, "Deployment"):
        settings, _ = effective(service_of(one), environment(objects, template(one)["spec"]["containers"][0]))
        pools = (settings or {"database": {}})["database"]
        scaler = named(objects, "HorizontalPodAutoscaler", one["metadata"]["name"])
        replicas = scaler["spec"]["maxReplicas"] if scaler else 0
        needed += (replicas + 1) * (pools.get("pool_size", 0) + pools.get("system_pool_size", 0))
    if needed > most:
        yield f"{needed} connections, and the database takes {most}"


RULES = [
    everything_is_there,
    pods_are_hardened,
    resources_are_bounded,
    services_take_their_settings,
    ports_are_those_of_the_settings,
    probes_ask_what_is_there,
    pods_have_time_to_end,
    companions_are_there,
    services_are_monitored,
    traffic_is_what_is_needed,
    secrets_are_files_of_their_own,
    images_are_of_the_dockerfile,
    jobs_are_commands,
    connections_fit_the_database,
]
