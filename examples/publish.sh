#!/bin/sh
# Publishes a shell script as a task, waits for its end, and acts on how it ended.
#
#   examples/publish.sh rust 'cargo test'
#   TASK_ID=build-17 WAIT=30m examples/publish.sh freebsd,rust < build.sh
#
# Needs `orch` and `jq` on PATH. The server is found as by every orch command: NATS_URL, or a context of `nats`.
# Exits with orch's own code: 0 done, 1 failed or cancelled, 2 invalid argument, 3 no server, 7 still running.
set -u

caps=${1:?usage: publish.sh <capabilities> [script]}
shift
# With an id of its own a repeated call is safe: a second publish of the same id waits for the task that exists.
id=${TASK_ID:-example-$(date -u +%Y%m%d%H%M%S)-$$}

# --json prints the task's record on stdout when it has ended, whether it is done or failed.
record=$(orch publish-task --id "$id" --caps "$caps" --wait --wait-timeout "${WAIT:-10m}" --json -- "$@")
code=$?

case $code in
  0) printf '%s' "$record" | jq -r '"\(.id): done by \(.node) in attempt \(.attempt), result \(.result // "none")"' ;;
  1) printf '%s' "$record" | jq -r '"\(.id): \(.state) (\(.reason // "no reason"))\(if .error then ": " + .error else "" end)"' ;;
  7) echo "$id: still running after ${WAIT:-10m}; \`orch logs -f $id\` follows it" ;;
  *) echo "$id: not known to be published (exit $code); run this again with TASK_ID=$id" ;;
esac
exit "$code"
