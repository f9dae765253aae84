#!/usr/bin/env python3
"""Sends a command to Goalpost over the bus, and prints the reply.

    AMQP_URL=amqp://… command.py enroll '{"tenant_id": "demo", "workflow_id": "…", "contact_id": "c-42"}' [--id UUID]

The message id makes it once in effect: whoever does not know whether a command arrived sends it again under the same id, and gets the
same reply. Needs pika (requirements.txt).
"""

import argparse
import os
import sys
import uuid

import pika

EXCHANGE = "goalpost.commands"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", help="enroll, end_enrollment, schedule_action, put_reference, delete_reference")
    parser.add_argument("body", help="JSON")
    parser.add_argument("--id", default=str(uuid.uuid4()), help="the message id")
    parser.add_argument("--seconds", type=float, default=30, help="to wait for the reply (30)")
    options = parser.parse_args()

    connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
    channel = connection.channel()
    # The broker's answer to a publication, and an error where no queue takes it.
    channel.confirm_delivery()
    replies = channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
    properties = pika.BasicProperties(
        message_id=options.id,
        correlation_id=options.id,
        reply_to=replies,
        content_type="application/json",
        delivery_mode=pika.DeliveryMode.Persistent,
    )
    channel.basic_publish(EXCHANGE, options.command, options.body.encode(), properties, mandatory=True)
    for _, reply, body in channel.consume(replies, auto_ack=True, inactivity_timeout=options.seconds):
        if body is None:
            sys.exit("no reply; the same command may be sent again under the id " + options.id)
        if reply.correlation_id == options.id:
            print(body.decode())
            break
    connection.close()


if __name__ == "__main__":
    main()
