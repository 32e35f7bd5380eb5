# Faults: each is a function fault_NAME HOST on|off, that puts back everything it changed.
# A fault that is on has a file target/lab/faults/NAME@HOST. Packet filters count what they hit (`lab fault hits`).
# shellcheck shell=bash

# NAME|where it applies|what it does
readonly FAULTS='unreachable|ssh|packets to port 22 vanish: connects time out
reset|ssh|port 22 answers with a TCP reset
oneway-drop|ssh|what port 22 answers vanishes: commands arrive, their results do not
lossy|ssh|one packet in four to port 22 vanishes (LAB_LOSS=0.25)
blackhole|any|the host is off the network altogether
sshd-frozen|ssh|sshd and its sessions are stopped (SIGSTOP): connects succeed, nothing answers
sshd-down|ssh|no sshd: connects are refused; sessions that are open live on
host-key|ssh|sshd shows another host key
auth-refused|ssh|sshd accepts the key no more
sshd-full|ssh|sshd takes one connection that has not logged in yet, and drops all others
sshd-one-session|ssh|sshd opens one session a connection
clock-skew|ssh|`date` is off by a while, for what an SSH session sees (LAB_SKEW=300 seconds)
slow-link|any|256 kbit/s in both directions (LAB_RATE=256kbit)
paused|any|the whole machine is paused (docker pause)
killed|any|the whole machine is killed; off starts it again, as after a reboot
home-full|ssh|no byte is free in /home/deploy
no-docker|app|the engine is stopped; containers live on
docker-hang|app|the engine is stopped in its tracks (SIGSTOP): it accepts and never answers
docker-denied|app|deploy may not use the engine
no-compose|app|there is no Compose, of either generation
disk-full|app|no byte is free in /var/lib/docker (the first time on a host restarts its containers)
port-taken|app|a stranger listens on the web port (LAB_PORT; default 80, on vps 8082)
registry-refused|app|what the host sends to the registry is answered with a TCP reset
registry-silent|app|what the host sends to the registry vanishes
pool-down|app|every container on the host is killed
app-paused|app|every container on the host is paused: connects succeed, nothing answers
haproxy-down|router|no HAProxy: port 80 is refused
haproxy-hang|router|HAProxy is stopped in its tracks (SIGSTOP)
no-map|router|HAProxy runs without a map, and the map file is gone
map-readonly|router|deploy may not write the map file or its directory
socket-refused|router|deploy may not connect to HAProxy sockets (until HAProxy is reloaded)
master-refused|router|deploy may not connect to the master socket only
commit-refused|router|the sockets answer reads and refuse to change a map (for new connections, as the next four)
commit-lost|router|a change of a map takes effect, and its answer never comes
commit-cut|router|a change of a map takes effect, and the connection ends without an answer
commit-hang|router|a change of a map neither takes effect nor is answered
commit-late|router|a change of a map takes effect after a delay, whoever has gone by then (LAB_DELAY=5 seconds)
reload-storm|router|HAProxy is reloaded every second
lb-no-route|router|the router cannot reach the app hosts web ports
registry-auth|registry|the registry accepts no password
registry-down|registry|no registry: connects are refused
registry-paused|registry|the registry accepts and never answers
db-down|db|no PostgreSQL
db-refused|db|port 5432 answers with a TCP reset
db-paused|db|PostgreSQL accepts and never answers'

fault_line() { grep "^$1|" <<<"$FAULTS"; }
fault_hosts() {
  case $1 in
    ssh) echo "${SSH_HOSTS[*]}" ;; any) echo "${ALL_HOSTS[*]}" ;; app) echo "${APP_HOSTS[*]}" ;;
    router) echo "${ROUTERS[*]}" ;; *) echo "$1" ;;
  esac
}

cmd_fault() {
  local name=${1:-} h=${2:-} want=${3:-} where mark
  case $name in
    '' | list)
      printf '%-16s %-9s %s\n' FAULT HOSTS EFFECT
      while IFS='|' read -r name where h; do printf '%-16s %-9s %s\n' "$name" "$where" "$h"; done <<<"$FAULTS"
      return ;;
    off) become_root fault off; need_state; faults_off; return ;;
    hits) become_root fault "$@"; need_state; known "$want"; fault_hits "$2" "$want"; return ;;
  esac
  become_root fault "$@"
  need_state
  fault_line "$name" >/dev/null || die "no fault '$name' (lab fault list)"
  known "$h"
  where=$(fault_line "$name" | cut -d'|' -f2)
  # shellcheck disable=SC2046
  is_in "$h" $(fault_hosts "$where") || die "fault $name is for: $(fault_hosts "$where")"
  mark=$STATE/faults/$name@$h
  mkdir -p "$STATE/faults"
  case $want in
    on)
      [[ ! -e $mark ]] || return 0
      : >"$mark"
      "fault_${name//-/_}" "$h" on || { rm -f "$mark"; die "fault $name could not be put on $h"; } ;;
    off)
      [[ -e $mark ]] || return 0
      "fault_${name//-/_}" "$h" off || die "fault $name could not be taken off $h (lab up mends it)"
      rm -f "$mark" ;;
    *) die "fault $name $h on|off" ;;
  esac
}

# All off: first what keeps a host from being mended.
faults_off() {
  local first mark name h
  for first in 'paused@*' 'registry-paused@*' 'db-paused@*' 'blackhole@*' 'killed@*' '*'; do
    for mark in "$STATE"/faults/$first; do
      [[ -e $mark ]] || continue
      name=${mark##*/} h=${mark##*@}
      name=${name%@*}
      "fault_${name//-/_}" "$h" off || say "fault $name could not be taken off $h"
      rm -f "$mark"
    done
  done
}

# ---- tools -----------------------------------------------------------------------------------------------------------
pid_of() { docker inspect -f '{{.State.Pid}}' "$(box "$1")"; }
in_net() { local p; p=$(pid_of "$1"); shift; nsenter -t "$p" -n -- "$@"; }
in_mnt() { local p; p=$(pid_of "$1"); shift; nsenter -t "$p" -m -p -- "$@"; }

# rule HOST on|off NAME TABLE CHAIN SPEC...: a packet filter in the host's own network, first in its chain.
rule() {
  local h=$1 want=$2 name=$3 table=$4 chain=$5 p; shift 5
  p=$(pid_of "$h")
  set -- "$@" -m comment --comment "lab:$name"
  if [[ $want == on ]]; then
    nsenter -t "$p" -n -- iptables -w -t "$table" -I "$chain" "$@"
  else
    while nsenter -t "$p" -n -- iptables -w -t "$table" -D "$chain" "$@" 2>/dev/null; do :; done
  fi
}
fault_hits() {
  local table
  for table in filter mangle; do in_net "$2" iptables -w -t "$table" -nvxL 2>/dev/null; done |
    awk -v c="lab:$1 " 'index($0 " ", c) { n += $1 } END { print n + 0 }'
}
restart_web() { inside "$1" sv -w 20 restart haproxy >/dev/null; wait_for 10 "HAProxy of $1" web_answers "$(addr "$1")"; }

# ---- the way to a host -----------------------------------------------------------------------------------------------
fault_unreachable() { rule "$1" "$2" unreachable filter INPUT -p tcp --dport 22 -j DROP; }
fault_reset() { rule "$1" "$2" reset filter INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset; }
fault_oneway_drop() { rule "$1" "$2" oneway-drop filter OUTPUT -p tcp --sport 22 -j DROP; }
fault_lossy() {
  if [[ $2 == on ]]; then
    rule "$1" on lossy filter INPUT -p tcp --dport 22 -m statistic --mode random --probability "${LAB_LOSS:-0.25}" -j DROP
  else
    drop_rules "$1" lossy
  fi
}
# Takes a fault's rules out without knowing how it was put on.
drop_rules() {
  local p; p=$(pid_of "$1")
  nsenter -t "$p" -n -- sh -c "iptables-save -t filter | grep -v -- 'lab:$2' | iptables-restore -w -T filter"
}
fault_blackhole() {
  rule "$1" "$2" blackhole mangle PREROUTING -i eth0 -j DROP
  rule "$1" "$2" blackhole mangle POSTROUTING -o eth0 -j DROP
}
fault_sshd_frozen() {
  if [[ $2 == on ]]; then inside "$1" pkill -STOP -x sshd; else inside "$1" pkill -CONT -x sshd; fi
}
fault_sshd_down() {
  if [[ $2 == on ]]; then inside "$1" sv -w 10 stop sshd >/dev/null; else
    inside "$1" sv -w 10 start sshd >/dev/null; wait_for 10 "sshd of $1" banner "$(addr "$1")"; fi
}
fault_host_key() {
  if [[ $2 == on ]]; then
    inside "$1" sh -c 'cd /etc/ssh && rm -f ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N "" -f ssh_host_ed25519_key'
  else
    inside "$1" sh -c 'cd /lab/identity && install -m 600 ssh_host_ed25519_key ssh_host_ed25519_key.pub /etc/ssh/'
  fi
  inside "$1" sv -w 10 restart sshd >/dev/null
  wait_for 10 "sshd of $1" banner "$(addr "$1")"
}
fault_auth_refused() {
  if [[ $2 == on ]]; then inside "$1" rm -f /etc/ssh/authorized/deploy; else
    inside "$1" install -m 644 /lab/identity/authorized_keys /etc/ssh/authorized/deploy; fi
}
# sshd with one option more, that its log may tell of.
sshd_option() {
  local h=$1 want=$2 option=$3
  if [[ $want == on ]]; then
    inside "$h" sh -c 'cd /etc/ssh && cp -p sshd_config .sshd_config.kept && printf "%s\nLogLevel VERBOSE\n" "$1" >>sshd_config' sh "$option"
  else
    inside "$h" sh -c 'cd /etc/ssh && mv .sshd_config.kept sshd_config'
  fi
  inside "$h" sv -w 10 restart sshd >/dev/null
  wait_for 10 "sshd of $h" banner "$(addr "$h")"
}
fault_sshd_full() { sshd_option "$1" "$2" 'MaxStartups 1:100:1'; }
fault_sshd_one_session() { sshd_option "$1" "$2" 'MaxSessions 1'; }
# The kernel of a container is the machine's, so its clock cannot be set; each use is counted in /run/lab-skew.
fault_clock_skew() {
  if [[ $2 == on ]]; then
    inside "$1" sh -c ': >/run/lab-skew && chmod 666 /run/lab-skew
      printf "%s\n" "#!/bin/sh" "echo \$PPID >>/run/lab-skew" "exec /usr/bin/date -d \"$1 seconds\" \"\$@\"" >/usr/local/bin/date
      chmod 755 /usr/local/bin/date' sh "${LAB_SKEW:-300}"
  else
    inside "$1" rm -f /usr/local/bin/date /run/lab-skew
  fi
}
fault_slow_link() {
  local peer rate=${LAB_RATE:-256kbit}
  peer=$(in_net "$1" ip -j link show eth0 | jq '.[0].link_index')
  peer=$(ip -j link | jq -r --argjson i "$peer" '.[] | select(.ifindex == $i).ifname')
  if [[ $2 == on ]]; then
    in_net "$1" tc qdisc replace dev eth0 root tbf rate "$rate" burst 16kb latency 2s
    tc qdisc replace dev "$peer" root tbf rate "$rate" burst 16kb latency 2s
  else
    in_net "$1" tc qdisc del dev eth0 root 2>/dev/null || :
    tc qdisc del dev "$peer" root 2>/dev/null || :
  fi
}

# ---- the machine -----------------------------------------------------------------------------------------------------
fault_paused() {
  if [[ $2 == on ]]; then docker pause "$(box "$1")" >/dev/null; else docker unpause "$(box "$1")" >/dev/null 2>&1 || :; fi
}
fault_killed() {
  if [[ $2 == on ]]; then docker kill "$(box "$1")" >/dev/null; return; fi
  docker start "$(box "$1")" >/dev/null
  ready_host "$1" 60
  if [[ -e $STATE/hosts/$1/disk ]]; then small_disk "$1"; fi
}
fault_home_full() {
  # Mounted from the machine: a router's container has no right to.
  if [[ $2 == on ]]; then
    in_mnt "$1" sh -euc '
      if mountpoint -q /home/deploy; then mount -o remount,size=$(($(du -sk /home/deploy | cut -f1) + 64))k /home/deploy; else
        mkdir -p /mnt/home
        mount -t tmpfs -o "size=$(($(du -sk /home/deploy | cut -f1) + 256))k,mode=755,uid=1000,gid=1000" lab-home /mnt/home
        cp -a /home/deploy/. /mnt/home/ && mount --bind /mnt/home /home/deploy && umount /mnt/home
      fi
      dd if=/dev/zero of=/home/deploy/.lab-filler bs=4k 2>/dev/null || :'
  else
    # Stays a file system of its own until `lab reset`, so that no open file is pulled away from under anybody.
    in_mnt "$1" sh -c 'rm -f /home/deploy/.lab-filler; ! mountpoint -q /home/deploy || mount -o remount,size=1g /home/deploy'
  fi
}

# ---- the engine ------------------------------------------------------------------------------------------------------
fault_no_docker() {
  if [[ $2 == on ]]; then inside "$1" sv -w 30 stop dockerd >/dev/null; else
    inside "$1" sv -w 10 start dockerd >/dev/null; wait_for 30 "the engine of $1" engine_in "$1"; fi
}
fault_docker_hang() {
  if [[ $2 == on ]]; then inside "$1" pkill -STOP -x dockerd; else
    inside "$1" pkill -CONT -x dockerd; wait_for 30 "the engine of $1" engine_in "$1"; fi
}
fault_docker_denied() {
  if [[ $2 == on ]]; then inside "$1" chmod 600 /run/docker.sock; else inside "$1" chmod 660 /run/docker.sock; fi
}
fault_no_compose() {
  local from='' to=.off
  [[ $2 == on ]] || from=.off to=''
  inside "$1" sh -c "for f in /usr/bin/docker-compose /usr/libexec/docker/cli-plugins/docker-compose; do
    [ ! -e \$f$from ] || mv \$f$from \$f$to; done"
}

# Containers back in the order that their services need: nginx looks its upstream's name up when it starts.
readonly START_ALL='for s in app web; do
  for c in $(docker ps -aq --filter label=com.docker.compose.service=$s --filter status=exited); do
    case " $ids " in *" $c "*) docker start $c >/dev/null ;; esac; done; done'

# The engine's data on a small file system of its own, which can be filled without harm to the machine.
small_disk() {
  local h=$1 ids file loop
  file=$(volume_dir "$LAB_NAME-$h")/.lab-disk
  ids=$(inside "$h" docker ps -q | paste -sd' ')
  [[ -z $ids ]] || inside "$h" sh -c "docker stop -t 5 $ids >/dev/null"
  inside "$h" sv -w 30 stop dockerd >/dev/null
  if [[ ! -e $file ]]; then
    truncate -s 3G "$file"
    mkfs.ext4 -q -O ^has_journal -m 0 "$file"
  fi
  loop=$(losetup -f --show "$file")
  in_mnt "$h" sh -euc '
    dev=$1 minor=$2
    [ -b "$dev" ] || mknod "$dev" b 7 "$minor"
    mkdir -p /mnt/disk && mount -t ext4 "$dev" /mnt/disk
    if [ ! -d /mnt/disk/overlay2 ]; then
      cd /var/lib/docker && tar --exclude=./.lab-disk -cf - . | tar -C /mnt/disk -xf - && cd /
    fi
    mount --bind /mnt/disk /var/lib/docker && umount /mnt/disk' sh "$loop" "${loop#/dev/loop}"
  losetup -d "$loop" # it goes for good when the mount does
  touch "$STATE/hosts/$h/disk"
  inside "$h" sv -w 10 start dockerd >/dev/null
  wait_for 30 "the engine of $h" engine_in "$h"
  [[ -z $ids ]] || inside "$h" sh -c "ids='$ids'; $START_ALL"
}
fault_disk_full() {
  local h=$1
  if [[ $2 == on ]]; then
    [[ $(inside "$h" findmnt -n -o SOURCE /var/lib/docker | tail -n 1) == /dev/loop* ]] || small_disk "$h"
    inside "$h" sh -c 'f=/var/lib/docker/.lab-filler
      fallocate -l "$(df --output=avail -B1 /var/lib/docker | tail -n 1)" $f 2>/dev/null || :
      dd if=/dev/zero bs=4k >>$f 2>/dev/null || :
      [ "$(df --output=avail -B1k /var/lib/docker | tail -n 1)" -lt 100 ]'
  else
    inside "$h" rm -f /var/lib/docker/.lab-filler
  fi
}

# ---- the app ---------------------------------------------------------------------------------------------------------
fault_port_taken() {
  local port=${LAB_PORT:-80}
  [[ $1 != vps ]] || port=${LAB_PORT:-8082}
  if [[ $2 == on ]]; then
    docker exec -d "$(box "$1")" lab-refuse "$port"
    wait_for 3 "the stranger on $1:$port (is the port in use?)" inside "$1" sh -c "ss -Hltnp sport = :$port | grep -q perl\\\\\|lab-refuse"
  else
    inside "$1" pkill -x lab-refuse || :
  fi
}
fault_registry_refused() {
  rule "$1" "$2" registry-refused filter OUTPUT -p tcp -d "$(addr registry)" --dport 5000 -j REJECT --reject-with tcp-reset
}
fault_registry_silent() { rule "$1" "$2" registry-silent filter OUTPUT -p tcp -d "$(addr registry)" --dport 5000 -j DROP; }
fault_pool_down() {
  local ids note=$STATE/faults/.pool-down.$1
  if [[ $2 == on ]]; then
    inside "$1" docker ps -q | paste -sd' ' >"$note"
    [[ -z $(cat "$note") ]] || inside "$1" sh -c "docker kill $(cat "$note") >/dev/null"
  else
    ids=$(cat "$note" 2>/dev/null || :)
    inside "$1" sh -c "ids='$ids'; $START_ALL"
    rm -f "$note"
  fi
}
fault_app_paused() {
  if [[ $2 == on ]]; then inside "$1" sh -c 'docker ps -q | xargs -r docker pause >/dev/null'; else
    inside "$1" sh -c 'docker ps -q --filter status=paused | xargs -r docker unpause >/dev/null'; fi
}

# ---- routers ---------------------------------------------------------------------------------------------------------
fault_haproxy_down() {
  if [[ $2 == on ]]; then inside "$1" sv -w 10 stop haproxy >/dev/null; else
    inside "$1" sv -w 10 start haproxy >/dev/null; wait_for 10 "HAProxy of $1" web_answers "$(addr "$1")"; fi
}
fault_haproxy_hang() {
  if [[ $2 == on ]]; then inside "$1" pkill -STOP -x haproxy; else inside "$1" pkill -CONT -x haproxy; fi
}
fault_no_map() {
  if [[ $2 == on ]]; then
    inside "$1" sh -euc 'cd /etc/haproxy && mv pointsman .pointsman.kept
      sed -i -e "/txn\./d" -e "s/use_backend .*/default_backend shop_blue/" \
        -e "/set-var(check/d" -e "s|uri-lf [^ ]*|uri /up|" -e "/server-state/d" haproxy.cfg'
  else
    inside "$1" sh -euc 'cd /etc/haproxy && if [ -d .pointsman.kept ]; then rm -rf pointsman && mv .pointsman.kept pointsman; fi
      /etc/lab-start.d/router'
  fi
  restart_web "$1"
}
fault_map_readonly() {
  local owner=root
  [[ $2 == on ]] || owner=deploy
  inside "$1" chown -R "$owner:$owner" /etc/haproxy/pointsman
}
fault_socket_refused() {
  local mode=600
  [[ $2 == on ]] || mode=660
  inside "$1" chmod "$mode" /run/haproxy/admin.sock /run/haproxy/master.sock
}
fault_master_refused() {
  local mode=600
  [[ $2 == on ]] || mode=660
  inside "$1" chmod "$mode" /run/haproxy/master.sock
}
# Somebody stands between the sockets and those who connect from now on, until HAProxy is reloaded.
between() {
  local h=$1 want=$2 mode=$3 socket
  inside "$h" sh -c 'pkill -TERM -x lab-between; while pgrep -x lab-between >/dev/null && [ -S /run/haproxy/admin.sock.real ]; do sleep 0.05; done' || :
  [[ $want == on ]] || return 0
  for socket in admin master; do
    docker exec -d "$(box "$h")" lab-between "/run/haproxy/$socket.sock" "$mode" "${LAB_DELAY:-5}"
    wait_for 5 "the one between" inside "$h" sh -c "[ -S /run/haproxy/$socket.sock.real ] && [ -S /run/haproxy/$socket.sock ]"
  done
}
fault_commit_refused() { between "$1" "$2" refuse; }
fault_commit_lost() { between "$1" "$2" lost; }
fault_commit_cut() { between "$1" "$2" cut; }
fault_commit_hang() { between "$1" "$2" hang; }
fault_commit_late() { between "$1" "$2" late; }
fault_reload_storm() {
  if [[ $2 == on ]]; then
    docker exec -d "$(box "$1")" sh -c 'echo $$ >/run/lab-storm; while :; do sv 2 haproxy; sleep 1; done'
  else
    inside "$1" sh -c '[ ! -f /run/lab-storm ] || kill "$(cat /run/lab-storm)"; rm -f /run/lab-storm'
  fi
}
fault_lb_no_route() {
  rule "$1" "$2" lb-no-route mangle OUTPUT -p tcp -d "$PREFIX.0/24" -m multiport --dports 80,8081,8082 -j DROP
}

# ---- what the app hosts need -----------------------------------------------------------------------------------------
fault_registry_auth() {
  if [[ $2 == on ]]; then
    inside registry sh -c 'cp -p /etc/registry.htpasswd /etc/registry.htpasswd.kept; htpasswd -Bbn -C 5 nobody "$(date +%N)" >/etc/registry.htpasswd; touch /etc/registry.htpasswd'
  else
    inside registry sh -c '[ ! -f /etc/registry.htpasswd.kept ] || { mv /etc/registry.htpasswd.kept /etc/registry.htpasswd; touch /etc/registry.htpasswd; }'
  fi
}
fault_stopped() {
  if [[ $2 == on ]]; then docker stop -t 3 "$(box "$1")" >/dev/null; else
    docker start "$(box "$1")" >/dev/null; ready_host "$1" 30; fi
}
fault_registry_down() { fault_stopped "$@"; }
fault_registry_paused() { fault_paused "$@"; }
fault_db_down() { fault_stopped "$@"; }
fault_db_paused() { fault_paused "$@"; }
fault_db_refused() { rule "$1" "$2" db-refused filter INPUT -p tcp --dport 5432 -j REJECT --reject-with tcp-reset; }
