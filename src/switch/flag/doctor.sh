# What a flip will need of this router; changes nothing.
section tool; echo "$fetcher"
section tools
for tool in flock timeout base64 awk mv rm getent; do command -v "$tool" >/dev/null 2>&1 || echo "$tool"; done
section user; id -un
section folder
if [ ! -d "$FLAGS" ]; then echo missing; elif [ ! -w "$FLAGS" ]; then echo forbidden; else echo writable; fi
section program
if [ -z "$fetcher" ]; then echo "$no_fetcher"; elif ask_program; then echo "$live"; else echo "$why"; fi
section flag; flag
section end
