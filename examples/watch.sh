#!/bin/sh
# Shows everything that happens in the fleet, live, until Ctrl-C. There is no dashboard to run: every entry that the
# journal accepts is republished on events.<kind>.<id>.<type>.<actor>, and any NATS client can subscribe.
#
# Narrower filters for `nats sub`:
#   'events.task.*.failed.*'   tasks that failed for good
#   'events.task.build-17.>'   one task
#   'events.node.*.lost.*'     nodes that were lost
#
# Uses the `nats` command where it is installed, else `orch events`. Both find the server by NATS_URL or a context.
# Events are delivered at most once; `orch events --since 1h` reads the journal and misses nothing.
set -eu

if command -v nats > /dev/null; then
  exec nats sub 'events.>'
fi
exec orch events
