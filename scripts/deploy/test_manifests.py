"""The rules hold for every overlay, and each of them notices what it is for."""

import unittest

from rules import RULES
from world import OVERLAYS, kind, named, overlay, template


BY_NAME = {rule.__name__: rule for rule in RULES}


def ingest(objects):
    return named(objects, "Deployment", "goalpost-ingest")


def pod(objects):
    return template(ingest(objects))["spec"]


def container(objects):
    return pod(objects)["containers"][0]


def settings(objects):
    return named(objects, "ConfigMap", container(objects)["envFrom"][0]["configMapRef"]["name"])["data"]


def job(objects):
    return template(named(objects, "Job", "goalpost-migrate"))["spec"]["containers"][0]


def cron(objects):
    return named(objects, "CronJob", "goalpost-maintain")["spec"]


def without(which, name):
    return lambda objects: objects.remove(named(objects, which, name))


# What is done to the objects of production, and the rule that must notice.
SPOILS = [
    (without("Deployment", "goalpost-goals"), "everything_is_there"),
    (lambda o: ingest(o)["metadata"].update(namespace="default"), "everything_is_there"),
    (lambda o: pod(o)["securityContext"].update(runAsUser=0), "pods_are_hardened"),
    (lambda o: pod(o)["securityContext"].pop("seccompProfile"), "pods_are_hardened"),
    (lambda o: pod(o).pop("automountServiceAccountToken"), "pods_are_hardened"),
    (lambda o: pod(o).update(hostNetwork=True), "pods_are_hardened"),
    (lambda o: container(o)["securityContext"].update(readOnlyRootFilesystem=False), "pods_are_hardened"),
    (lambda o: container(o)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "pods_are_hardened"),
    (lambda o: job(o)["securityContext"].pop("allowPrivilegeEscalation"), "pods_are_hardened"),
    (lambda o: job(o)["resources"].pop("limits"), "resources_are_bounded"),
    (lambda o: container(o)["resources"]["requests"].update(memory="32Mi"), "resources_are_bounded"),
    (lambda o: container(o)["resources"]["limits"].update(memory="256Mi"), "resources_are_bounded"),
    (lambda o: settings(o).update(GOALPOST__INTAKE__QUEUE_MAX_BYTES="335544320"), "resources_are_bounded"),
    (lambda o: settings(o).update(GOALPOST__HTTP__PROT="8081"), "services_take_their_settings"),
    (lambda o: settings(o).update(GOALPOST__HTTP__PORT="many"), "services_take_their_settings"),
    (lambda o: settings(o).update(GOALPOST__HTTP__PORT="8181"), "ports_are_those_of_the_settings"),
    (lambda o: settings(o).pop("GOALPOST__HTTP__ADMIN_HOST"), "ports_are_those_of_the_settings"),
    (lambda o: named(o, "Service", "goalpost-ingest")["spec"]["ports"].pop(), "ports_are_those_of_the_settings"),
    (lambda o: container(o)["livenessProbe"]["httpGet"].update(path="/health/ready"), "probes_ask_what_is_there"),
    (lambda o: container(o)["readinessProbe"]["httpGet"].update(port="http"), "probes_ask_what_is_there"),
    (lambda o: container(o).pop("startupProbe"), "probes_ask_what_is_there"),
    (lambda o: pod(o).update(terminationGracePeriodSeconds=30), "pods_have_time_to_end"),
    (lambda o: settings(o).update(GOALPOST__LIFE__DRAIN_SECONDS="60"), "pods_have_time_to_end"),
    (without("HorizontalPodAutoscaler", "goalpost-ingest"), "companions_are_there"),
    (without("PodDisruptionBudget", "goalpost-ingest"), "companions_are_there"),
    (without("ServiceAccount", "goalpost-ingest"), "companions_are_there"),
    (without("ServiceAccount", "goalpost-migrate"), "companions_are_there"),
    (without("Service", "goalpost-ingest"), "companions_are_there"),
    (lambda o: ingest(o)["spec"].update(replicas=2), "companions_are_there"),
    (lambda o: pod(o)["topologySpreadConstraints"].pop(), "companions_are_there"),
    (lambda o: named(o, "Service", "goalpost-ingest")["metadata"]["labels"].update({"app.kubernetes.io/name": "x"}), "services_are_monitored"),
    (lambda o: kind(o, "ServiceMonitor")[0]["spec"]["endpoints"][0].update(port="http"), "services_are_monitored"),
    (without("NetworkPolicy", "goalpost-nothing"), "traffic_is_what_is_needed"),
    (without("NetworkPolicy", "goalpost-to-postgres"), "traffic_is_what_is_needed"),
    (lambda o: named(o, "NetworkPolicy", "goalpost-from-ingress")["spec"]["ingress"][0].pop("ports"), "traffic_is_what_is_needed"),
    (lambda o: named(o, "NetworkPolicy", "goalpost-to-rabbitmq")["spec"].update(podSelector={}), "traffic_is_what_is_needed"),
    (lambda o: named(o, "NetworkPolicy", "goalpost-to-dns")["spec"]["egress"][0].pop("to"), "traffic_is_what_is_needed"),
    (lambda o: o.append({"kind": "Secret", "metadata": {"name": "x", "namespace": "goalpost"}}), "secrets_are_files_of_their_own"),
    (lambda o: container(o)["volumeMounts"][0].update(subPath="database_url"), "secrets_are_files_of_their_own"),
    (lambda o: pod(o)["volumes"][0]["secret"].update(secretName="goalpost-goals"), "secrets_are_files_of_their_own"),
    (lambda o: pod(o)["volumes"][0]["secret"]["items"].pop(), "secrets_are_files_of_their_own"),
    (lambda o: pod(o)["volumes"][0]["secret"]["items"][0].update(key="undocumented"), "secrets_are_files_of_their_own"),
    (lambda o: job(o)["env"].append({"name": "X", "value": "postgres://a:b@c"}), "secrets_are_files_of_their_own"),
    (lambda o: container(o).update(image="goalpost/goals:0.1.0"), "images_are_of_the_dockerfile"),
    (lambda o: container(o).update(image="goalpost/ingest:latest"), "images_are_of_the_dockerfile"),
    (lambda o: job(o).update(args=["migrate-all"]), "jobs_are_commands"),
    (lambda o: job(o)["env"][0].update(name="DATABASE"), "jobs_are_commands"),
    (lambda o: cron(o).update(schedule="0 3 * * *"), "jobs_are_commands"),
    (lambda o: cron(o).pop("timeZone"), "jobs_are_commands"),
    (lambda o: named(o, "HorizontalPodAutoscaler", "goalpost-ingest")["spec"].update(maxReplicas=60), "connections_fit_the_database"),
]


class Manifests(unittest.TestCase):
    def test_every_rule_holds_in_every_overlay(self):
        for where in OVERLAYS:
            objects = overlay(where)
            for rule in RULES:
                with self.subTest(where, rule=rule.__name__):
                    self.assertEqual([], list(rule(objects)))

    def test_every_rule_notices_what_it_is_for(self):
        for at, (spoil, rule) in enumerate(SPOILS):
            objects = overlay("production")
            spoil(objects)
            with self.subTest(at=at, rule=rule):
                self.assertTrue(list(BY_NAME[rule](objects)))
        self.assertEqual(set(BY_NAME), {rule for _, rule in SPOILS})


if __name__ == "__main__":
    unittest.main()
