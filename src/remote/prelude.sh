# A part of the output: a line of its own, even where what was printed before did not end in one.
section() { printf '\n@@pm:%s\n' "$1"; }
# Ends the script with a message for the operator.
say_fail() { pm_code=$1; shift; printf '%s\n' "$*" >&2; exit "$pm_code"; }
