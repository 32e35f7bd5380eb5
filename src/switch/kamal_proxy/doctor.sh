# What a flip will need of this router; changes nothing.
section tools
for tool in flock timeout base64 awk sed grep mktemp date; do command -v "$tool" >/dev/null 2>&1 || echo "$tool"; done
section tool; echo "$fetcher"
if ask_proxy; then why=; fi
section why; echo "$why"
section many
if takes_many; then echo yes; fi
section options
if [ -n "$target" ]; then same_options || echo "$why"; fi
print_routes
section end
