# What a flip will need of this router; changes nothing.
section tool; echo "$fetcher"
section tools
for tool in flock timeout base64 awk mv rm chmod date; do command -v "$tool" >/dev/null 2>&1 || echo "$tool"; done
section user; id -un
section folder
if [ ! -d "${FILE%/*}" ]; then echo missing; elif [ ! -w "${FILE%/*}" ]; then echo forbidden; else echo writable; fi
if [ -z "$fetcher" ]; then why=$no_fetcher
elif ask_envoy; then
  why=
  agrees || until_true 1 eval 'ask_envoy && agrees' || :
fi
section why; echo "$why"
print_routes
section end
