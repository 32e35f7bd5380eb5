# Asks over HTTP with whatever this router has. Functions: fetch_pl and fetch_py write the programs.
fetcher=
for tool in perl python3 curl; do
  command -v "$tool" >/dev/null 2>&1 || continue
  case $tool in
    perl) perl -MSocket=getaddrinfo -e 1 2>/dev/null || continue; fetch_text=$(fetch_pl) ;;
    python3) fetch_text=$(fetch_py) ;;
  esac
  fetcher=$tool
  break
done
no_fetcher='expected perl, python3 or curl to ask over HTTP, found none of them'
see_config='`pointsman switch config`'

# `fetch SECONDS HOST PORT PATH HOST-HEADER`: `code` and `body` of the answer; fails with `why`.
fetch() {
  case $fetcher in
    perl) said=$(perl -e "$fetch_text" "$@" 2>&1) ;;
    python3) said=$(python3 -c "$fetch_text" "$@" 2>&1) ;;
    curl)
      case $2 in *:*) set -- "$1" "[$2]" "$3" "$4" "$5" ;; esac
      said=$(curl -q -sS -0 -m "$1" -g -H "Host: $5" -w '\n%{http_code}' "http://$2:$3$4" 2>&1) &&
        said=${said##*"$nl"}$nl${said%"$nl"*}
      ;;
  esac || { why=$said; return 1; }
  code=${said%%"$nl"*} body=
  case $said in *"$nl"*) body=${said#*"$nl"} ;; esac
}
nl='
'
