#!/usr/bin/env bash
# Runs a command by mpirun (Open MPI) on two "machines": network namespaces of this one, with a cable between them, a
# veth, and host names of their own. What processes of different hosts say to each other goes over TCP and this cable.
#
#   scripts/two_hosts.sh [--ranks N] [--rate RATE] [--mca NAME VALUE ...] COMMAND [ARGUMENT ...]
#
#   --ranks N    on each host; 1 by default. The first N are on acu-host1, as mpirun is, the others on acu-host2
#   --rate RATE  of the cable, in either direction, as tc writes it: 100mbit
#   --mca ...    as for mpirun
#
# SIGUSR1 unplugs the cable, SIGUSR2 plugs it in again. Ends with mpirun's exit code and a line with the bytes that went
# through the cable; or with 77 and a line that says why, where namespaces are refused or something is missing. Nothing
# is left of them, however it ends. Files and cores are those of the machine, for both. TCP gives up after about 13
# seconds, not a quarter of an hour.
set -euo pipefail

refuse() { echo "two_hosts.sh: skipped: $*" >&2; exit 77; }
usage() { echo "two_hosts.sh: $* (see --help)" >&2; exit 2; }

inside=
ranks=1
rate=
mca=()
arguments=("$@")
while [ $# -gt 0 ]; do
  case "$1" in
    --inside) inside=1 ;;
    --ranks) ranks=${2:?"--ranks needs a number"}; shift ;;
    --rate) rate=${2:?"--rate needs a rate"}; shift ;;
    --mca) [ $# -gt 2 ] || usage "--mca needs a name and a value"; mca+=("${@:1:3}"); shift 2 ;;
    -h | --help) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) usage "$1 is no option" ;;
    *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || usage "which command?"
[[ $ranks =~ ^[1-9][0-9]*$ ]] || usage "--ranks $ranks: 1 or more"

export PATH="$PATH:/usr/sbin:/sbin"
if [ -z "$inside" ]; then
  for program in ip mpirun unshare ${rate:+tc}; do
    command -v "$program" > /dev/null || refuse "there is no $program"
  done
  # Names of namespaces are mounts. Among mounts of our own they end with the last process that uses them.
  for how in "unshare --mount --net" "unshare --mount --net --user --map-root-user"; do
    ! $how true 2> /dev/null || exec $how "$BASH" "$0" --inside "${arguments[@]}"
  done
  refuse "this machine allows no namespaces (CAP_SYS_ADMIN is missing)"
fi

try() { said=$("$@" 2>&1) || refuse "$* is refused ($said)"; }
hosts=(acu-host1 acu-host2)
try mount -t tmpfs none /run
for host in "${hosts[@]}"; do
  try ip netns add "$host"
  try ip -netns "$host" link set lo up
done
try ip link add cable netns acu-host1 type veth peer name cable netns acu-host2
for i in 0 1; do
  try ip -netns "${hosts[i]}" address add "192.168.77.$((i + 1))/24" dev cable
  try ip -netns "${hosts[i]}" link set cable up
  [ -z "$rate" ] || try tc -netns "${hosts[i]}" qdisc add dev cable root tbf rate "$rate" burst 64kb latency 50ms
  ip netns exec "${hosts[i]}" sh -c 'echo 5 > /proc/sys/net/ipv4/tcp_retries2' 2> /dev/null || true
done

# What ssh would do: on HOST WORDS..., which a shell of that host reads.
on=/run/on
cat > "$on" << 'END'
#!/bin/sh
host=$1
shift
exec ip netns exec "$host" unshare --uts bash -c 'hostname "$0" && exec bash -c "$1"' "$host" "$*"
END
chmod +x "$on"

end_all() {
  exec 2> /dev/null  # bash would tell of each
  for host in "${hosts[@]}"; do ip netns pids "$host" | xargs -r kill -KILL; done
}
trap end_all EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'ip -netns acu-host1 link set cable down' USR1
trap 'ip -netns acu-host1 link set cable up' USR2

# Both hosts have the same cores, of which each would bind its ranks to the first.
mpirun=(mpirun --allow-run-as-root --bind-to none -host "acu-host1:$ranks,acu-host2:$ranks" -np $((2 * ranks))
  --mca plm_rsh_agent "$on" --mca orte_tmpdir_base /run --mca oob_tcp_if_include cable
  --mca pml ob1 --mca btl "tcp,self" --mca btl_tcp_if_include cable "${mca[@]}" "$@")
"$on" acu-host1 "${mpirun[@]@Q}" < /dev/null &
code=128
# A signal ends only the waiting.
while [ "$code" -ge 128 ] && kill -0 $! 2> /dev/null; do
  code=0
  wait $! || code=$?
done
sent() { ip netns exec "$1" cat /sys/class/net/cable/statistics/tx_bytes; }
echo "two_hosts.sh: $(sent acu-host1) bytes from acu-host1 to acu-host2, $(sent acu-host2) bytes back" >&2
exit "$code"
