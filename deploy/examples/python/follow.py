#!/usr/bin/env python3
"""Carries out the due actions of a team's workflows, and notes who left one because a goal was reached.

    AMQP_URL=amqp://… EVALUATOR=http://… API_KEY=gpk_… follow.py [--queue NAME] [--ledger FILE]

What a consumer of Goalpost's facts has to do is here once; the place where your own work goes is `carry_out` and `left`.
Needs pika and cloudevents (requirements.txt).
"""

import argparse
import json
import os
import sqlite3
import sys
import urllib.error
import urllib.request

import pika
from cloudevents.exceptions import GenericException as NoCloudEvent
from cloudevents.http import from_json

EXCHANGE = "goalpost.workflow"
FACTS = ("workflow.action.due", "workflow.exit.goal")


class Ledger:
    """What was done, kept where the work is kept: in your own database, in the transaction of the effect."""

    def __init__(self, file):
        self.db = sqlite3.connect(file)
        self.db.execute("CREATE TABLE IF NOT EXISTS done (fact text PRIMARY KEY)")
        self.db.execute("CREATE TABLE IF NOT EXISTS actions (action text PRIMARY KEY, state text)")
        self.db.execute("CREATE TABLE IF NOT EXISTS exits (enrollment text, version integer, goal text)")

    def once(self, fact, effect):
        """Runs `effect` unless it was run for this fact before; both are committed together, or neither is."""
        with self.db:
            if self.db.execute("INSERT OR IGNORE INTO done VALUES (?)", (fact,)).rowcount:
                effect(self.db)

    def state(self, action):
        """How far an action has come here: None, "begun" or "done"."""
        row = self.db.execute("SELECT state FROM actions WHERE action = ?", (action,)).fetchone()
        return row and row[0]

    def note(self, action, state):
        with self.db:
            self.db.execute("INSERT OR REPLACE INTO actions VALUES (?, ?)", (action, state))


class Evaluator:
    def __init__(self, url, key):
        self.url, self.key = url, key

    def post(self, path, body):
        """The status and the answer. 429 and 5xx are raised: the message stays in the queue, and comes again."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        request.add_header("Authorization", "Bearer " + self.key)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            if refused.code == 429 or refused.code >= 500:
                raise
            return refused.code, json.load(refused)


def carry_out(action_type, contact, payload):
    """Your work: send the mail, set the tag."""
    print(f"{action_type} for {contact}: {json.dumps(payload)}", flush=True)


def due(data, ledger, evaluator):
    action = data["action_id"]
    before = ledger.state(action)
    if before == "done":
        return
    # Noted before the fence is asked: whoever was killed after it finds the action started, and knows by whom.
    ledger.note(action, "begun")
    status, answer = evaluator.post(f"/api/v1/actions/{action}/start", {})
    if status == 200 or (before == "begun" and answer["code"] == "action_not_pending"):
        carry_out(data["action_type"], data["contact_id"], data["payload"])
        evaluator.post(f"/api/v1/actions/{action}/finish", {"status": "done"})
        ledger.note(action, "done")
    else:
        # The contact has left, the action was cancelled, or its workflow is not active: it must not be done.
        print(f"not done: {answer['code']}", flush=True)


def left(data, db):
    """Your effect of an exit, in the transaction that notes its fact."""
    row = (data["enrollment_id"], data["enrollment_version"], data["goal_type"])
    db.execute("INSERT INTO exits VALUES (?, ?, ?)", row)
    print(f"{data['contact_id']} left {data['workflow_id']}: {data['goal_type']}", flush=True)


def handle(body, ledger, evaluator):
    fact = from_json(body)
    if fact["type"] == "workflow.action.due":
        due(fact.data, ledger, evaluator)
    elif fact["type"] == "workflow.exit.goal":
        ledger.once(fact["id"], lambda db: left(fact.data, db))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queue", default="crm.follow")
    parser.add_argument("--ledger", default="follow.db")
    options = parser.parse_args()
    ledger = Ledger(options.ledger)
    evaluator = Evaluator(os.environ["EVALUATOR"], os.environ["API_KEY"])

    channel = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])).channel()
    # A queue of your own keeps everything while you are away. What kills its consumer again and again is laid aside after 20 times.
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": 20}
    channel.queue_declare(options.queue, durable=True, arguments=arguments)
    for name in FACTS:
        channel.queue_bind(options.queue, EXCHANGE, routing_key=name)
    channel.basic_qos(prefetch_count=20)

    def arrived(_channel, delivery, _properties, body):
        try:
            handle(body, ledger, evaluator)
        except (NoCloudEvent, KeyError, TypeError, ValueError) as error:
            # Not what was agreed: it will not get better, and must not hold up the others.
            print(f"laid aside: {error!r}", file=sys.stderr, flush=True)
            channel.basic_reject(delivery.delivery_tag, requeue=False)
        else:
            # Only now, after the commit: what was not acknowledged comes again.
            channel.basic_ack(delivery.delivery_tag)

    channel.basic_consume(options.queue, arrived)
    print("following", flush=True)
    channel.start_consuming()


if __name__ == "__main__":
    main()
