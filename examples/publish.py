#!/usr/bin/env python3
"""Publishes a task and waits for its end with nats-py alone; orch itself is not needed on this machine.

    pip install nats-py
    python examples/publish.py --caps rust 'cargo test'

It writes and reads the wire as subjects.md describes it ("Publish", the short way, and "Read"). Prints the task's
record as JSON. Exits with 0 when it is done, 1 when it failed or was cancelled, 7 when it has not ended in time.
"""

import argparse
import asyncio
import json
import os
import sys
import time
import uuid

import nats
from nats.js.errors import APIError, NotFoundError

FINAL = {"done", "failed", "cancelled"}
# The server's codes for "this id is in the queue already".
WRONG_LAST_SEQUENCE = 10071
ONE_MESSAGE_PER_SUBJECT = 10077
# Events are delivered at most once, so the journal is read this often in any case.
LOOK_EVERY_S = 2


def lane_of(capabilities):
    """The required capabilities, without repeats, sorted and joined by "+"; "any" when there are none."""
    return "+".join(sorted(set(capabilities))) or "any"


async def publish(js, lane, task_id, task):
    """Queues a task. Returns False when the id is in the queue already."""
    try:
        await js.publish(
            f"tasks.medium.{lane}.{task_id}",
            json.dumps(task).encode(),
            stream="ORCH_TASKS",
            headers={
                "Nats-Expected-Last-Subject-Sequence": "0",
                "Nats-Expected-Last-Subject-Sequence-Subject": f"tasks.*.*.{task_id}",
            },
        )
    except APIError as error:
        if error.err_code in (WRONG_LAST_SEQUENCE, ONE_MESSAGE_PER_SUBJECT):
            return False
        raise
    return True


async def read_task(js, task_id):
    """The task's record after its last deciding entry; None before the first."""
    try:
        entry = await js.get_last_msg("ORCH_JOURNAL", f"journal.task.{task_id}.*.*")
    except NotFoundError:
        return None
    return json.loads(entry.data)["task"]


async def wait_for_end(nc, js, task_id, timeout_s):
    """The record of the task when it has ended. Raises TimeoutError; the task goes on."""
    woken = asyncio.Event()

    async def wake(_event):
        woken.set()

    # Subscribe first, then read: an end in between is not missed.
    subscription = await nc.subscribe(f"events.task.{task_id}.*.*", cb=wake)
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            woken.clear()
            record = await read_task(js, task_id)
            if record and record["state"] in FINAL:
                return record
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"task {task_id} has not ended within {timeout_s} s")
            try:
                await asyncio.wait_for(woken.wait(), min(LOOK_EVERY_S, left_s))
            except asyncio.TimeoutError:
                pass
    finally:
        await subscription.unsubscribe()


async def main():
    parser = argparse.ArgumentParser(description="Publish a task and wait for its end.")
    parser.add_argument("input", help="the task's input: a shell script for a worker without --exec")
    parser.add_argument("--caps", default="", help="required capabilities, such as freebsd,rust")
    parser.add_argument("--id", default=f"py-{uuid.uuid4().hex[:16]}", help="task id; the same id is queued once")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait (default 600)")
    args = parser.parse_args()

    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    try:
        js = nc.jetstream()
        lane = lane_of(filter(None, args.caps.split(",")))
        task = {"description": args.input.split("\n")[0][:200], "input": args.input, "createdBy": "publish.py"}
        if not await publish(js, lane, args.id, task):
            print(f"task {args.id} exists; waiting for it", file=sys.stderr)
        try:
            record = await wait_for_end(nc, js, args.id, args.timeout)
        except TimeoutError as error:
            print(f"{error}; it goes on", file=sys.stderr)
            return 7
    finally:
        await nc.close()
    print(json.dumps(record))
    return 0 if record["state"] == "done" else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
