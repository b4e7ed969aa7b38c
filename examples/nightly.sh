#!/bin/sh
# Publishes one task per period, however many machines call this and however often. As a crontab line on each of them:
#
#   0 3 * * *  /opt/jobs/nightly.sh backup linux /opt/jobs/backup.sh
#
# The period is part of the task's id, and the server stores an id once: the first call publishes, every other one
# finds the task there and changes nothing. Both are a success. An id stays taken for as long as the journal keeps its
# task, 30 days by default. PERIOD is the day by default: "$(date -u +%Y-%m-%dT%H)" is the hour, "$(date -u +%G-W%V)"
# the week.
#
# Needs `orch` and `jq` on PATH. Exits with orch's own code.
set -eu

name=${1:?usage: nightly.sh <name> <capabilities> <script file>}
caps=${2:?usage: nightly.sh <name> <capabilities> <script file>}
script=${3:?usage: nightly.sh <name> <capabilities> <script file>}
id="$name-${PERIOD:-$(date -u +%Y-%m-%d)}"

published=$(orch publish-task --id "$id" --caps "$caps" --max-attempts 5 --json < "$script")
printf '%s' "$published" | jq -r 'if .created then "\(.id): published" else "\(.id): exists, \(.state)" end'
