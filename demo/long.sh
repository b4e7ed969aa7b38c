# Counts the lines of each folder of src, slowly, so that its worker can be killed half-way.
cd "$DEMO_REPO/src" || exit 1
total=0
for folder in */; do
  lines=$(find "$folder" -name '*.ts' -exec cat {} + | wc -l)
  total=$((total + lines))
  echo "$((lines)) lines in src/$folder"
  sleep 0.8
done
echo "$total" > "$ORCH_RESULT_FILE"
