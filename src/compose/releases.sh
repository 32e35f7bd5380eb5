# The records of every release that the host keeps, of both pools: they share images.
for pm_pool in "$STATE"/*/releases; do
  [ -d "$pm_pool" ] || continue
  pm_pool=${pm_pool%/releases}
  pm_name=${pm_pool##*/}
  [ ! -f "$pm_pool/current" ] || {
    section "current $pm_name"
    cat "$pm_pool/current"
  }
  for pm_dir in "$pm_pool"/releases/*; do
    [ -d "$pm_dir" ] || continue
    if [ -f "$pm_dir/release.json" ]; then
      section "release $pm_name ${pm_dir##*/}"
      cat "$pm_dir/release.json"
    else
      section "unfinished $pm_name"
      printf '%s\n' "${pm_dir##*/}"
    fi
  done
done
section end
