# Prints every run's journal. Variable: STATE.
for file in "$STATE"/runs/*/journal.jsonl; do
  [ -f "$file" ] || continue
  run=${file%/journal.jsonl}
  section "${run##*/}"
  cat "$file"
done
# An answer that was cut is not taken for all of it. No run's name begins so.
section @end
