# A container engine: found, or started, or installed and started. Never assumes what a former run left.
# shellcheck shell=bash

engine_answers() { timeout 5 docker info >/dev/null 2>&1; }

# A machine on which every process was killed keeps the pid files; their numbers may be someone else's by now.
drop_stale_pid() {
  local file=$1 name=$2 pid
  [[ -f $file ]] || return 0
  pid=$(cat "$file")
  # A zombie has the name still, and holds nothing.
  [[ -n $pid && $(cat "/proc/$pid/comm" 2>/dev/null) == "$name" ]] &&
    ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" && return 0
  rm -f "$file"
}

start_engine() {
  drop_stale_pid /var/run/docker.pid dockerd
  drop_stale_pid /var/run/docker/containerd/containerd.pid containerd
  # Without the lock's descriptors: the engine outlives us.
  setsid sh -c 'exec dockerd' </dev/null >>/var/log/pmlab-dockerd.log 2>&1 8>&- 9>&- &
  wait_for 60 "the container engine (see /var/log/pmlab-dockerd.log)" engine_answers
}

ensure_engine() {
  if command -v docker >/dev/null && engine_answers; then return 0; fi
  [[ -z ${DOCKER_HOST:-} ]] || die "DOCKER_HOST=$DOCKER_HOST does not answer"
  if ! command -v dockerd >/dev/null; then
    say "no engine here: installing docker.io"
    apt_install docker.io iptables
    hash -r
  fi
  if [[ -d /run/systemd/system ]]; then
    systemctl start docker && wait_for 60 "the container engine" engine_answers
  else
    start_engine
  fi
}

ensure_tools() {
  local want=() pair
  for pair in ssh:openssh-client ssh-keygen:openssh-client openssl:openssl curl:curl jq:jq iptables:iptables \
    nsenter:util-linux flock:util-linux tc:iproute2 mkfs.ext4:e2fsprogs; do
    command -v "${pair%%:*}" >/dev/null || want+=("${pair#*:}")
  done
  ((${#want[@]} == 0)) || apt_install "${want[@]}"
}

# How a host with an engine of its own is allowed to run: --privileged where that works, else the capabilities it needs.
host_rights() {
  local cap cgroup2=0
  [[ -f /sys/fs/cgroup/cgroup.controllers ]] && cgroup2=1
  RIGHTS=()
  if docker run --rm --privileged --network none --entrypoint true "$1" >/dev/null 2>&1; then
    RIGHTS=(--privileged)
  else
    RIGHTS=(--cap-drop ALL)
    for cap in AUDIT_CONTROL AUDIT_WRITE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK KILL LEASE \
      LINUX_IMMUTABLE MAC_ADMIN MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW SETGID SETFCAP SETPCAP \
      SETUID SYS_ADMIN SYS_CHROOT SYS_NICE SYS_PTRACE SYS_TTY_CONFIG SYS_MODULE; do
      RIGHTS+=(--cap-add "$cap")
    done
    RIGHTS+=(--security-opt seccomp=unconfined --security-opt apparmor=unconfined
      --security-opt systempaths=unconfined --device-cgroup-rule 'b 7:* rmw')
  fi
  if ((cgroup2)); then
    RIGHTS+=(--cgroupns private)
  else
    RIGHTS+=(--cgroupns host -v /sys/fs/cgroup:/sys/fs/cgroup:rw)
  fi
}
