#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# vhost-bench: it works with each of our daemons and finds their data right, finds wrong data
# wrong, and ends with a message when a back-end does not play along. All is bounded by requests;
# no times are judged. The network which sends packets back takes root.

if [ "${1:-}" != inside ] && [ "$(id -u)" -eq 0 ] && [ -c /dev/net/tun ]; then
	exec unshare -n "$BASH" "$0" inside
fi
inside=${1:-}

. "$(dirname "$0")/lib-tools.sh"

tool_of vhost-bench
quick=--timeout-ms=300

check_help

# --- Wrong command lines ---

usage "what to do is missing"
usage "toaster: not blk, scsi, net, rng or compare" toaster s
usage "--json: not blk" --json blk s
usage "the socket is missing" blk
usage "b: not an option" blk a b
usage "--foo: unknown option" blk --foo s
usage "--dir: unknown option" blk --dir=tx s
usage "--rw: unknown option" net --rw=read s
usage "--lun: unknown option" blk --lun=0 s
usage "--rounds: unknown option" blk --rounds=3 s
usage "--rw=foo: not randread, randwrite, read, write or randrw" blk --rw=foo s
usage "--dir=up: not tx, rx or both" net --dir=up s
usage "--lun=x: not a LUN" scsi --lun=x s
usage "--lun=256:0: not a LUN" scsi --lun=256:0 s
usage "--lun=0:16384: not a LUN" scsi --lun=0:16384 s
usage "--depth=0: not in the range" blk --depth=0 s
usage "--depth=4097: not in the range" blk --depth=4097 s
usage "--queues=33: not in the range" blk --queues=33 s
usage "--time=0: not in the range" blk --time=0 s
usage "--poll, --irq: only one" blk --poll --irq s
usage "two commands are required" compare
usage "two commands are required" compare blk -- true {}
usage "two commands are required" compare -- -- true {}
usage "two commands are required" compare -- true {} --
usage "each command needs a {}" compare -- true -- true {}
usage "s: not an option" compare s -- true {} -- true {}
usage "--pid: unknown option" compare --pid=1 -- true {} -- true {}
usage "--second=net: not a device type like blk" compare --second=net -- true {} -- true {}
usage "--second=foo: not a device type like blk" compare --second=foo -- true {} -- true {}
usage "--load-cpu=x: not a list of CPUs" compare --load-cpu=x -- true {} -- true {}
usage "--backend-cpus=0,: not a list of CPUs" compare --backend-cpus=0, -- true {} -- true {}

# --- Back-ends which are none, or do not play along ---

dead_sockets blk
for mode in deaf hang late; do
	serve_bad $mode
	broken "a back-end which is $mode" "negotiation: no answer" blk $quick "$tmp/$mode.sock"
	end_serving $mode
done
serve_bad leave
broken "a back-end which leaves" "negotiation: the back-end has closed" blk "$tmp/leave.sock"
end_serving leave
serve_bad liar
broken "a back-end which lies" "negotiation: the back-end's answer is not" blk "$tmp/liar.sock"
end_serving liar
serve_bad empty
broken "a back-end without VIRTIO 1" "does not offer VIRTIO 1" blk "$tmp/empty.sock"
end_serving empty
serve_bad idle
broken "a back-end which serves no ring" "no request has come back for 300 ms" blk $quick "$tmp/idle.sock"
broken "the same, polled" "no request has come back for 300 ms" blk --poll $quick "$tmp/idle.sock"
broken "packed rings, which are not offered" "does not offer packed rings" blk --packed "$tmp/idle.sock"
broken "too many queues" "has 1 queues only" blk --queues=2 "$tmp/idle.sock"
broken "a size which is none" "1000 bytes are no size of a request" blk --bs=1000 "$tmp/idle.sock"
broken "too short a ring" "a depth of 64 takes a ring of 256" blk --ring=128 --depth=64 "$tmp/idle.sock"
true &
wait $!
broken "a process which is not there" "--pid=$!: there is no such process" blk --pid=$! "$tmp/idle.sock"
usage "--pid=4194305: not in the range" blk --pid=4194305 s
end_serving idle

# They answer all messages, and serve rings wrongly: a device's name is no reason to trust it.
while read -r mode word; do
	serve_bad "$mode"
	for how in --irq --poll; do
		broken "a ring which is served wrongly: $mode, $how" "$word" blk $quick $how --depth=8 "$tmp/$mode.sock"
	done
	end_serving "$mode"
done <<-END
	alien used ring of queue 0: the back-end's answer is not what
	twice used ring of queue 0: the back-end's answer is not what
	long used ring of queue 0: the back-end's answer is not what
	mute a request has come back without status
	jump used ring of queue 0: the back-end's answer is not what
	dies the back-end has closed the connection
END

# --- Our daemons ---

# runs NAME WORD TYPE ARG...: it ends with success, and says this.
runs()
{
	local name=$1 word=$2 type=$3

	shift 3
	timeout 300 "$daemon" "$type" "$@" >"$tmp/out" 2>&1 && grep -qe "$word" "$tmp/out" && row 0 "$name" && return
	row 1 "$name: $*"
	comment <"$tmp/out"
}

# 4 MiB are 1024 blocks: 1024 requests write each of them once, and all are read again.
disk_rows()
{
	local type=$1 socket=$tmp/$2.sock rings

	for rings in "" --indirect --packed "--packed --indirect" --poll "--packed --poll"; do
		# shellcheck disable=SC2086 # several words, or none
		runs "$type: written and read again, ${rings:-split}" "verified  *1024 requests" \
			"$type" --rw=write --verify --requests=1024 $rings "$socket"
		# shellcheck disable=SC2086
		runs "$type: read, ${rings:-split}" "verified  *5000 requests" \
			"$type" --rw=randread --verify --requests=5000 --depth=16 $rings "$socket"
	done
	runs "$type: both at random" "verified  *[1-9]" "$type" --rw=randrw --verify --requests=5000 "$socket"
	runs "$type: large requests" "verified  *[1-9]" "$type" --rw=write --verify --requests=64 --bs=64K --depth=8 "$socket"
	runs "$type: one at a time" "verified  *100 requests" "$type" --rw=read --verify --requests=100 --depth=1 "$socket"
	runs "$type: the beginning" "verified  *16 requests" "$type" --rw=write --verify --requests=16 --area=64K --depth=16 "$socket"
	runs "$type: in JSON" '"requests": *777' "$type" --json --requests=777 "$socket"
	broken "$type: too small a disk" "the disk is too small" "$type" --rw=write --verify --area=4K "$socket"
	broken "$type: a larger disk than there is" "the disk has 4194304 bytes only" "$type" --area=5M "$socket"
}

serve_blk blk
disk_rows blk blk
runs "the back-end's CPU time" "back-end [0-9]* ns" blk --requests=100 --pid="${pids[blk]}" "$tmp/blk.sock"
runs "for a time" "rate " blk --time=1 "$tmp/blk.sock"
if command -v script >/dev/null; then
	script -qec "$daemon blk --time=1 $tmp/blk.sock" /dev/null >"$tmp/terminal" </dev/null
	check "on a terminal it tells how it goes" grep -q " s .* IOPS .* 32 in flight" "$tmp/terminal"
	timeout 60 "$daemon" blk --requests=100 "$tmp/blk.sock" >/dev/null 2>"$tmp/terminal"
	equal "and only there" 0 "$(wc -c <"$tmp/terminal")"
else
	echo "# no script(1): nothing is tried on a terminal"
fi
# Requests in flight are their rate times their latency, however fast all is.
in_flight()
{
	timeout 300 "$daemon" blk --json --requests=20000 --depth="$1" "$tmp/blk.sock" >"$tmp/out" 2>&1
	awk -F'[:,]' -v depth="$1" '
		/"per_second"/ { rate = $2 }
		/"mean"/ { mean = $2 }
		END { n = rate * mean / 1e9; print n; exit !(n > depth * 0.5 && n < depth * 1.1) }' "$tmp/out"
}
check "one request in flight" in_flight 1
check "many requests in flight" in_flight 64
runs "queues" "2 queues" blk --queues=2 --depth=64 --requests=3000 --rw=randrw --verify "$tmp/blk.sock"
end_serving blk
serve forgets "$top_builddir/blk/vhost-user-blk" --socket-path={} --engine=null --size=4M
broken "a disk which forgets" "is not what" blk --rw=randrw --verify --requests=5000 "$tmp/forgets.sock"
broken "a disk which has never been written" "is not what vhost-bench --verify would write" \
	blk --rw=read --verify --requests=10 "$tmp/forgets.sock"
end_serving forgets
serve_blk readonly --read-only
broken "a disk which cannot be written" "the disk is read-only" blk --rw=write "$tmp/readonly.sock"
end_serving readonly

serve_scsi scsi
disk_rows scsi scsi
broken "a logical unit which is not there" "TEST UNIT READY" scsi --lun=5 "$tmp/scsi.sock"
end_serving scsi

serve_rng rng
for rings in "" --packed --poll; do
	# shellcheck disable=SC2086
	runs "random bytes, ${rings:-split}" "verified  *2000 requests" rng --verify --requests=2000 $rings "$tmp/rng.sock"
done
end_serving rng

serve_net null --port=null --packet-size=1500
runs "packets sent" "sent " net --requests=5000 --verify "$tmp/null.sock"
runs "packets received" "received " net --dir=rx --requests=5000 --verify "$tmp/null.sock"
for rings in "" --packed "--indirect --packed" --mergeable "--in-order --packed" "--in-order --mergeable"; do
	for verify in "" --verify; do
		# shellcheck disable=SC2086 # several words, or none
		runs "in both directions, ${rings:-split} $verify" "received " \
			net --dir=both --requests=5000 --size=1500 $rings $verify "$tmp/null.sock"
	done
done
runs "long packets" "sent " net --size=65000 --indirect --depth=8 --requests=1000 "$tmp/null.sock"
broken "packets without room for what is verified" "have no room" net --verify --size=20 "$tmp/null.sock"
end_serving null
serve_net silent --port=null
broken "packets which do not come" "no request has come back" net --dir=rx $quick "$tmp/silent.sock"
end_serving silent
if [ "$inside" = inside ]; then
	serve_net tap --tap=bench0 --up
	"$top_builddir/tests/tools/reflect" bench0 >"$tmp/ready" 2>"$tmp/reflect.log" &
	pids[reflect]=$!
	check "packets are sent back" wait_until 30 grep -q ready "$tmp/ready"
	for rings in "" --packed; do
		# shellcheck disable=SC2086
		runs "packets which come back are ours, ${rings:-split}" "verified  *[1-9]" \
			net --dir=both --depth=8 --requests=20000 --size=1000 --verify $rings "$tmp/tap.sock"
	done
	end_serving reflect
	"$top_builddir/tests/tools/reflect" bench0 spoil >"$tmp/ready" 2>"$tmp/reflect.log" &
	pids[reflect]=$!
	check "packets are sent back, and changed" wait_until 30 grep -q ready "$tmp/ready"
	broken "packets which come back are not ours" "a packet came back with byte 999 changed" \
		net --dir=both --depth=8 --requests=1000000 --size=1000 --verify "$tmp/tap.sock"
	end_serving reflect
	end_serving tap
else
	echo "# not root, or no /dev/net/tun: no packets come back"
fi

# --- The back-end ends while it is driven ---

serve_blk dies
timeout 60 "$daemon" blk --time=60 "$tmp/dies.sock" >"$tmp/out" 2>"$tmp/err" &
pids[driver]=$!
wait_until 30 grep -q "$tmp/dies.sock" /proc/net/unix
kill -9 "${pids[dies]}"
{ end_process dies; } 2>/dev/null
end_process driver
equal "a back-end which is killed: the exit status" 3 $?
check "a back-end which is killed: the message" grep -q "the back-end has closed the connection\|connect" "$tmp/err"

# A signal ends the measurement, and what was measured is printed.
serve_blk signal
timeout 120 "$daemon" blk --time=600 "$tmp/signal.sock" >"$tmp/out" 2>&1 &
pids[driver]=$!
# As soon as it has spent some CPU time, which it does on requests only.
at_work()
{
	local pid

	pid=$(pgrep -P "${pids[driver]}") || return 1
	awk '{ exit $14 + $15 < 40 }' "/proc/$pid/stat" && kill -INT "$pid"
}
wait_until 60 at_work
end_process driver
equal "SIGINT: the exit status" 0 $?
check "SIGINT: what there is is printed" grep -q "^  rate" "$tmp/out"
end_serving signal

# --- Two compared ---

truncate -s 4M a.img b.img
before=$(listing)
blk()
{
	printf '%s\n' "$top_builddir/blk/vhost-user-blk" --socket-path={} --blk-file="$1"
}
mapfile -t a < <(blk a.img)
mapfile -t b < <(blk b.img)
runs "two are compared" "^per second .*(.*)" compare blk --rounds=2 --requests=2000 -- "${a[@]}" -- "${b[@]}"
runs "two are compared, in JSON" '"ratio"' compare --json --rounds=1 --requests=500 --packed -- "${a[@]}" -- "${b[@]}"
runs "two, of which one has packed rings" "^per second .*(.*)" compare --rounds=1 --requests=500 --packed --second-split -- \
	"${a[@]}" -- "${b[@]}" --packed=off
runs "two of different types" "^per second .*(.*)" compare scsi --second=blk --rounds=1 --requests=500 -- \
	"$top_builddir/scsi/vhost-user-scsi" --socket-path={} --lun=0,file=a.img -- "${b[@]}"
runs "two networks, by time" "3 rounds of 0.2 s" compare net --rounds=3 --time-ms=200 --poll -- \
	"$top_builddir/net/vhost-user-net" --socket-path={} --port=null -- \
	"$top_builddir/net/vhost-user-net" --socket-path={} --port=null
equal "they leave nothing behind" "$before" "$(listing)"
refused_with "a command which is not there" 3 "nonesuch: No such file" "$daemon" compare -- nonesuch {} -- "${b[@]}"
refused_with "a command which ends" 3 "it ended with status 1 before it listened" "$daemon" compare -- false {} -- "${b[@]}"
refused_with "a command which says why it ends" 3 "it said: .*--blk-file=none" \
	"$daemon" compare -- "${a[@]}" -- "${b[@]/b.img/none}"
finish
