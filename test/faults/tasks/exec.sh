# Runs a task of the fault runner as a command; see handler.js.
printf '%s %s\n' "$ORCH_TASK_ID" "$ORCH_ATTEMPT" >> "$FAULTS_RAN"
read -r kind seconds failures bytes
echo "$kind by $ORCH_NODE"
if [ "$ORCH_ATTEMPT" -le "$failures" ]; then
  echo 'meant to fail' >&2
  [ "$kind" = later ] && exit 75
  exit 1
fi
[ "$seconds" = 0.000 ] || sleep "$seconds"
result='"attempt":'$ORCH_ATTEMPT',"node":"'$ORCH_NODE'"'
if [ "$bytes" -gt 0 ]; then
  result=$result',"bulk":"'$(head -c "$bytes" /dev/zero | tr '\0' x)'"'
fi
printf '{%s}' "$result" > "$ORCH_RESULT_FILE"
