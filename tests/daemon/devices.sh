#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Several devices of one process: what a list of them may say, that each is served for itself, and
# that whatever becomes of one front-end the others do not notice.

. "$(dirname "$0")/lib-cli.sh"

vhostctl=$top_builddir/tools/vhostctl
bench=$top_builddir/tools/vhost-bench
truncate -s 1M disk other unit
conf=$tmp/conf.json

# --- What is right ---

printed()
{
	"$daemon" --config="$1" --print-config
}

# same NAME TEXT: it is accepted, and what is printed says so again, with the text's keys.
same()
{
	local name=$1

	json "$2"
	check "$name: checked" "$daemon" --config="$conf" --check-config
	equal "$name: nothing is said" "" "$("$daemon" --config="$conf" --check-config 2>&1)"
	printed "$conf" >"$tmp/again.json" 2>&1
	equal "$name: printed" "$(tr -d ' \t\n' <<<"$2")" "$(tr -d ' \t\n' <"$tmp/again.json")"
	equal "$name: printed and read again" "$(cat "$tmp/again.json")" "$(printed "$tmp/again.json")"
}

cli_of blk
same "blk" '{ "threads": 2, "log-level": "debug", "devices": [
	{ "name": "root", "blk-file": "disk", "read-only": true, "num-queues": 4, "socket-path": "s" },
	{ "name": "data-2.x_Y", "engine": "null", "size": 1048576, "fd": 0, "threads": 3, "poll-us": 7 }] }'
cli_of scsi
same "scsi" '{ "devices": [{ "name": "one", "lun": ["0,file=disk", "1:2,file=a,,b"], "socket-path": "s" },
	{ "name": "two", "lun": ["0,file=other"], "connect": "t" }] }'
cli_of net
same "net" '{ "devices": [{ "name": "lan", "port": "null", "queue-pairs": 2, "socket-path": "s" },
	{ "name": "wan", "tap": "t0", "mac": "52:54:00:12:34:56", "socket-path": "t" }] }'

# --- What is wrong ---

cli_of blk
good='"blk-file":"disk"'

# list WORD ELEMENT...: such a list is refused.
list()
{
	local word=$1 elements

	shift
	elements=$(printf ',%s' "$@")
	wrong "$word" "{\"devices\":[${elements#,}]}"
}

one='{"name":"one","blk-file":"disk","socket-path":"s"}'
wrong "devices: not of type array" '{"devices":{}}'
wrong "devices: not of type array" '{"devices":null}'
wrong "devices: not of type array" '{"devices":"one"}'
wrong "devices: there is none" '{"devices":[]}'
wrong "devices: more than 64" "{\"devices\":[$(printf '{},%.0s' {1..64}){}]}"
wrong "blk-file: it has to be said of each of the devices" "{$good,\"devices\":[$one]}"
wrong "socket-path: it has to be said of each" "{\"devices\":[$one]}" --socket-path=t
wrong "num-queues: it has to be said of each" "{\"devices\":[$one]}" --num-queues=2
wrong "name: it has to be said of each" "{\"devices\":[$one]}" --name=x
list "devices.0.: not of type object" 1
list "devices.1.: not of type object" "$one" null
list "devices.1.: name: it is required" "$one" "{$good,\"socket-path\":\"t\"}"
list "devices.1.: name: not of type string" "$one" '{"name":2}'
list "devices.0. (): name: it needs a value" '{"name":""}'
list "devices.1. (two): blk: unknown" "$one" '{"name":"two","blk":1}'
list "devices.1. (two): size: too small" "$one" '{"name":"two","size":1}'
list "devices.1. (two): read-only: not of type boolean" "$one" '{"read-only":"x","name":"two"}'
list "devices.0. (two): log-level: unknown" '{"name":"two","log-level":"info"}' "$one"
list "devices.0. (two): control: unknown" '{"name":"two","control":"c"}'
list "devices.0. (two): devices: unknown" '{"name":"two","devices":[]}'
list "devices.0. (two).*: name: given more than once\|name: given more than once" '{"name":"two","name":"x"}'
list "devices.0. (1*): name: longer than 64" "{\"name\":\"$(printf '1%.0s' {1..65})\"}"

# sense WORD MEMBERS ELEMENT...: each for itself is right, but not together.
sense()
{
	local word=$1 members=$2 elements

	shift 2
	elements=$(printf ',%s' "$@")
	json "{$members\"devices\":[${elements#,}]}"
	usage "^$program: $word" --config="$conf" --check-config
	usage "^$program: $word" --config="$conf"
}

two='{"name":"two","engine":"null","size":512,"socket-path":"t"}'
sense "--name=one: two devices" "" "$one" '{"name":"one","blk-file":"other","socket-path":"t"}'
sense "--name=a b: not of letters" "" "$one" '{"name":"a b","blk-file":"other","socket-path":"t"}'
sense "--name=a:b: not of letters" "" '{"name":"a:b","blk-file":"other","socket-path":"t"}'
sense "--name=control: that is" "" "$one" '{"name":"control","blk-file":"other","socket-path":"t"}'
sense "two: --socket-path=s: one has" "" "$one" '{"name":"two","blk-file":"other","socket-path":"s"}'
sense "three: --connect=s: two has" "" "$one" '{"name":"two","blk-file":"other","connect":"s"}' \
	'{"name":"three","engine":"null","size":512,"connect":"s"}'
sense "three: --fd=0: two has" "" "$one" '{"name":"two","blk-file":"other","fd":0}' \
	'{"name":"three","engine":"null","size":512,"fd":0}'
sense "two: --blk-file: it is required" "" "$one" '{"name":"two","socket-path":"t"}'
sense "two: --engine=null: it needs --size" "" "$one" '{"name":"two","engine":"null","socket-path":"t"}'
sense "two: --poll-us=5: it needs --threads" "" "$one" "${two/\}/,\"poll-us\":5\}}"
sense "two: --threads=3: more than queues, of which there are --num-queues=2" "" "$one" \
	"${two/\}/,\"threads\":3,\"num-queues\":2\}}"
sense "--threads=18: more than queues, of which there are 17" '"threads":18,' "$one" \
	"${two/\}/,\"num-queues\":1\}}"
sense "--threads=17: more than queues, of which there are 16" '"threads":17,' "$one" \
	"${two/\}/,\"threads\":1\}}"
json "{\"devices\":[$one,{\"name\":\"two\",\"blk-file\":\"other\"}]}"
usage "^$program: two: --socket-path, --fd or --connect" --config="$conf"
check "who only asks may leave sockets to the service manager" "$daemon" --config="$conf" --check-config
usage "^$program: --name=a/b: not of letters" --name=a/b --socket-path=s --blk-file=disk

cli_of net
json '{"devices":[{"name":"lan","port":"null","socket-path":"s"},
	{"name":"wan","port":"null","mac":"x","socket-path":"t"}]}'
cannot "a value which is no good" "^$program: wan: --mac=x: not six bytes" --config="$conf"

cli_of scsi
sense "b: --lun=0,fil=x: fil: unknown" "" '{"name":"a","lun":["0,file=disk"],"socket-path":"s"}' \
	'{"name":"b","lun":["0,fil=x"],"socket-path":"t"}'

# all NAME STATUS LIST LINE...: a list of these devices is refused with just these lines.
all()
{
	local name=$1 status=$2

	json "{\"devices\":[$3]}"
	shift 3
	"$daemon" --config="$conf" --check-config >"$tmp/out" 2>&1
	equal "$name: status" "$status" $?
	equal "$name" "$(printf '%s\n' "$@")" "$(sed "s|^$program: ||; s|^--config=$conf: ||" "$tmp/out")"
}

cli_of blk
all "each device is told what is wrong with it: values" 2 \
	"$one,1,{\"name\":\"two\",\"size\":1,\"blk\":2},$two,{$good}" \
	"devices[1]: not of type object" "devices[2] (two): size: too small" \
	"devices[4]: name: it is required"
all "each device is told what is wrong with it: together" 2 \
	"$one,${two/,\"size\":512},$one,{\"name\":\"d\",\"blk-file\":\"d\",\"socket-path\":\"s\"}" \
	"two: --engine=null: it needs --size" "--name=one: two devices have it" \
	"d: --socket-path=s: one has it already"
cli_of net
all "each device is told what is wrong with it: addresses" 1 \
	'{"name":"a","port":"null","mac":"x"},{"name":"b","port":"null"},{"name":"c","port":"null","mac":"y"}' \
	"a: --mac=x: not six bytes as in 52:54:00:12:34:56" \
	"c: --mac=y: not six bytes as in 52:54:00:12:34:56"

# --- When one cannot be served ---

cli_of blk

# spoilt NAME WORD ELEMENT: the second one cannot start, and nothing is left of the first.
spoilt()
{
	json "{\"control\":\"c\",\"log-level\":\"error\",\"devices\":[
		{\"name\":\"one\",\"blk-file\":\"made\",\"size\":\"1M\",\"socket-path\":\"s\"},$3]}"
	cannot "$1" "^$program: $2" --config="$conf"
}

spoilt "no such image" "two: --blk-file=none: No such file" \
	'{"name":"two","blk-file":"none","socket-path":"t"}'
spoilt "no such folder" "--socket-path=none/t: No such file" \
	'{"name":"two","blk-file":"disk","socket-path":"none/t"}'
spoilt "the image of the other" "two: --blk-file=made: .*in use" \
	'{"name":"two","blk-file":"made","socket-path":"t"}'
spoilt "a front-end's socket with a long name" "two: cannot serve the socket" \
	"{\"name\":\"two\",\"blk-file\":\"disk\",\"connect\":\"$(printf '%0108d' 0)\"}"
spoilt "a file descriptor which nobody gave" "--fd=9: no such file" \
	'{"name":"two","blk-file":"disk","fd":9}'

# --- Serving ---

# start_list NAME: the file's devices, whose sockets are at $tmp; they listen.
start_list()
{
	local name=$1 socket

	"$daemon" --config="$conf" >>"$tmp/$name.log" 2>&1 &
	pids[$name]=$!
	for socket in $(grep -o '"socket-path":"[^"]*"' "$conf" | sed 's/.*\///; s/\.sock"//'); do
		wait_until 30 listening_or_gone_as "$name" "$socket" && listening "$socket"
		row $? "$name: $socket listens" || finish
	done
}

listening_or_gone_as()
{
	listening "$2" || gone "${pids[$1]}"
}

# end_list NAME: it ends on SIGTERM, and no socket is left.
end_list()
{
	kill "${pids[$1]}"
	end_process "$1"
	equal "$1: the exit status on SIGTERM" 0 $?
	equal "$1: no socket is left" "" "$(find "$tmp" -name '*.sock' -o -name '*.control')"
}

control=$tmp/all.control

# ctl ARG...
ctl()
{
	"$vhostctl" "$control" "$@"
}

# of DEVICE ARG...
of()
{
	"$vhostctl" --device="$1" "$control" "${@:2}"
}

# fails NAME TEXT COMMAND...: with one line which has this text.
fails()
{
	local name=$1 text=$2 found

	shift 2
	found=$("$@" 2>&1 >/dev/null)
	[ $? -eq 1 ] && [ "$(wc -l <<<"$found")" -eq 1 ] && grep -q "^vhostctl: .*$text" <<<"$found"
	row $? "$name" && return
	comment <<<"$found"
}

# has DEVICE LINE METHOD: what is said of the device has this line.
has()
{
	of "$1" "$3" | grep -qFx -- "$2"
}

# counter DEVICE NAME: as the metrics have it, of all of its queues.
counter()
{
	ctl metrics | sed -n "s/^vhost_user_$2_total{device=\"$1\".*} //p" | awk '{ n += $1 } END { print n + 0 }'
}

count_is()
{
	[ "$(counter "$1" "$2")" = "$3" ]
}

# while_busy FUNCTION: again and again while the load on "data" goes on; how often, at least once.
while_busy()
{
	local n=0

	until gone "${pids[load]}"; do
		"$1" || return 1
		n=$((n + 1))
	done
	echo "$n times"
	[ $n -gt 0 ]
}

kill_one()
{
	stays root || return 1
	{ kill -9 "${pids[root.stays]}"; end_process root.stays; } 2>/dev/null
	return 0
}

come_and_go()
{
	"$give_fd" talk "$tmp/root.sock" 2
}

shrink_one()
{
	"$give_fd" shrink "$tmp/root.sock"
}

reset_one()
{
	"$give_fd" reset "$tmp/root.sock"
}

change_one()
{
	of root limits iops=100 >/dev/null && of root quiesce && of root resume &&
		of root resize size=$((1048576 + 512 * (RANDOM + 1))) >/dev/null && of root stats-reset
}

# disturbed NAME FUNCTION
disturbed()
{
	"$bench" blk --rw=randrw --verify --time=1 --queues=2 --timeout-ms=30000 "$tmp/data.sock" \
		>"$tmp/load.out" 2>&1 &
	pids[load]=$!
	check "$1" while_busy "$2"
	end_process load
	row $? "$1: the other's data is right" || comment <"$tmp/load.out"
	equal "$1: it had one connection" 1 "$(grep -c "^vhost-user-blk: data: front-end uses" "$tmp/all.log")"
	: >"$tmp/all.log"
}

# three MEMBERS ROOT DATA: three disks; members of the process, of the first and of the second.
three()
{
	json "{$1\"control\":\"$control\",\"devices\":[
		{\"name\":\"root\",\"blk-file\":\"$work/disk\",\"size\":\"1M\"$2,\"socket-path\":\"$tmp/root.sock\",\"num-queues\":2},
		{\"name\":\"data\",\"blk-file\":\"$work/other\"$3,\"socket-path\":\"$tmp/data.sock\",\"num-queues\":2},
		{\"name\":\"null\",\"engine\":\"null\",\"size\":\"1G\",\"socket-path\":\"$tmp/null.sock\",\"num-queues\":3}]}"
}

threads_of()
{
	cat "/proc/${pids[all]}/task"/*/comm | grep -c queues-
}

three "" "" ""
start_list all
equal "no threads" 0 "$(threads_of)"
for name in root data null; do
	check "$name is served" "$give_fd" talk "$tmp/$name.sock" 3
done
wait_until 30 count_is root connections 3 && count_is data connections 3
row $? "connections are counted for each"
check "stats-reset of one" of root stats-reset
equal "it counts none any more" "$(printf '0\n3')" "$(for name in root data; do
	of $name --json stats | grep -o '"connections":[0-9]*' | sed 's/.*://'; done)"
check "a front-end stays" stays data
check "it is seen there" has data "connected: true" status
check "and nowhere else" has root "connected: false" status
equal "all of them in one line" "status: 1 of 3 front-ends connected" "$(ctl status | grep '^status')"
equal "one after the other" "root data null" "$(ctl status | sed -n 's/^ *name: //p' | sed 1d | xargs)"
equal "statistics, too" "root data null" "$(ctl stats | grep -x 'root\|data\|null' | xargs)"
equal "it is a label of metrics" 'vhost_user_connected{device="data"} 1' \
	"$(ctl metrics | grep '^vhost_user_connected.* 1')"
equal "metrics of one" 1 "$(of root metrics | grep -c '^vhost_user_connections_total')"
ctl metrics >"$tmp/metrics"
equal "each family is in one piece" "" "$(sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$tmp/metrics" | sort | uniq -d)"
kill "${pids[data.stays]}"
end_process data.stays 2>/dev/null

fails "which one" "device: it is required; there are: root, data, null" ctl resize size=2M
fails "none of these" "device: there is no such device; there are: root, data, null" of x resize size=2M
fails "not even for status" "device: there is no such device" of x status
fails "a method which is not about one" "device: unknown" of root log-level
check "resize" of root resize size=2M
equal "one file has grown" "2097152 1048576" "$(stat -c %s disk other | xargs)"
check "config has its size" has root "size: 2097152" config
check "resize, said as another key" ctl resize device=data size=3M
equal "the other one" 3145728 "$(stat -c %s other)"
check "limits" of root limits iops=10
check "it has them" has root "iops: 10" limits
check "the other has none" has data "iops: 0" limits
check "no limits" of root limits iops=0
check "quiesce" of root quiesce
check "it is quiesced" has root "quiesced: true" status
check "the other is not" has data "quiesced: false" status
check "resume" of root resume
ctl --json config >"$tmp/now.json"
check "config is a configuration" "$daemon" --config="$tmp/now.json" --check-config
equal "and says the same again" "$(printed "$tmp/now.json" | tr -d ' \t\n')" \
	"$(tr -d ' \t\n\\' <"$tmp/now.json")"
: >"$tmp/all.log"
end_list all
grep -v "^$program: signal" "$tmp/all.log" | grep -v "^$program: \(root\|data\|null\): " >"$tmp/unnamed"
equal "each line of the log names its device" "" "$(cat "$tmp/unnamed")"

truncate -s 1M disk other
for mode in "the main thread::" "a pool of threads:\"threads\":3,:" "threads of its own:\"threads\":1,:,\"threads\":1"; do
	name=${mode%%:*}
	rest=${mode#*:}
	truncate -s 1M disk
	three "$(sed 's/,:.*/,/; s/^:.*//' <<<"$rest")" "" "$(sed -n 's/.*,:,/,/p' <<<"$rest")"
	start_list all
	case $name in
	"a pool"*) equal "$name" 3 "$(threads_of)" ;;
	"threads of"*) equal "$name" 2 "$(threads_of)" ;;
	esac
	disturbed "$name: a front-end is killed" kill_one
	disturbed "$name: front-ends come and go" come_and_go
	disturbed "$name: a front-end truncates its memory" shrink_one
	disturbed "$name: a device is reset" reset_one
	disturbed "$name: a device is changed" change_one
	check "$name: the disturbed one is still served" "$bench" blk --requests=100 "$tmp/root.sock"
	end_list all
done

# --- Who serves what ---

# run_time THREAD: for how many nanoseconds those of this name have run; a sanitizer has one, too.
run_time()
{
	local task

	for task in "/proc/${pids[all]}/task"/*; do
		[ "$(cat "$task/comm")" != "$1" ] || cut -d' ' -f1 "$task/schedstat"
	done | awk '{ n += $1 } END { printf "%d\n", n }'
}

# served_by NAME SOCKET THREAD: of all threads this is the one which requests keep busy.
served_by()
{
	local name=$1 socket=$2 wanted=$3 thread threads=(vhost-user-blk queues-0 queues-1 queues-2)
	local -A before=()

	for thread in "${threads[@]}"; do
		before[$thread]=$(run_time "$thread")
	done
	check "$name: requests" "$bench" blk --requests=20000 "$tmp/$socket.sock"
	for thread in "${threads[@]}"; do
		echo "$(($(run_time "$thread") - before[$thread])) $thread"
	done | sort -n >"$tmp/ran"
	equal "$name" "$wanted" "$(tail -n 1 "$tmp/ran" | cut -d' ' -f2)"
}

# four MEMBERS: four disks with one queue each, the last one with a thread of its own.
four()
{
	local name elements=

	for name in one two three; do
		elements+="{\"name\":\"$name\",\"engine\":\"null\",\"size\":\"1M\",\"num-queues\":1,\"socket-path\":\"$tmp/$name.sock\"},"
	done
	json "{$1\"devices\":[$elements
		{\"name\":\"own\",\"engine\":\"null\",\"size\":\"1M\",\"num-queues\":1,\"threads\":1,\"socket-path\":\"$tmp/own.sock\"}]}"
}

cli_of blk
four '"threads":2,'
start_list all
served_by "the first one's queue is that of the first thread" one queues-0
served_by "the second one's is the next thread's" two queues-1
served_by "then it begins again" three queues-0
served_by "threads of one serve no other" own queues-2
end_list all
four ""
start_list all
served_by "without threads, it is the main one" two vhost-user-blk
served_by "but not for who has his own" own queues-0
end_list all

# --- Networks and units ---

cli_of net
json "{\"control\":\"$control\",\"devices\":[
	{\"name\":\"lan\",\"port\":\"null\",\"socket-path\":\"$tmp/lan.sock\"},
	{\"name\":\"wan\",\"port\":\"null\",\"socket-path\":\"$tmp/wan.sock\"}]}"
start_list net
check "link down" of lan link state=down
check "it is down" has lan "link: down" status
check "the other is up" has wan "link: up" status
fails "whose link" "device: it is required; there are: lan, wan" ctl link state=down
end_list net

cli_of scsi
truncate -s 1M disk other
json "{\"control\":\"$control\",\"devices\":[
	{\"name\":\"a\",\"images\":\"$work\",\"lun\":[{\"lun\":0,\"serial\":\"x,size=1\",\"file\":\"$work/disk\",\"size\":\"1M\"}],
	 \"socket-path\":\"$tmp/a.sock\"},
	{\"name\":\"b\",\"lun\":[{\"lun\":0,\"file\":\"$work/other\"}],\"socket-path\":\"$tmp/b.sock\"}]}"
start_list scsi
check "lun-add" of a lun-add lun=1 file="$work/unit"
equal "it is there" 2 "$(of a --json config | grep -o 'file=' | wc -l)"
equal "not with the other" 1 "$(of b --json config | grep -o 'file=' | wc -l)"
fails "lun-remove of the other's" "no such unit" of b lun-remove lun=1
check "lun-remove" of a lun-remove lun=1
check "resize" of a resize lun=0 size=2M
equal "config has the unit's size" "  - 0,serial=x,,size=1,file=$work/disk,size=2097152" \
	"$(of a config | grep '^ *- ')"
ctl --json config >"$tmp/now.json"
check "resize of one which did not say its size" of b resize lun=0 size=2M
equal "config does not say it either" "$(cat "$tmp/now.json")" "$(ctl --json config)"
end_list scsi
check "what config said is what there is" "$daemon" --config="$tmp/now.json" --check-config
rm -f "$conf" && cp "$tmp/now.json" "$conf"
start_list scsi
end_list scsi

# --- One by name ---

cli_of blk
start_daemon only --name=vm1 --blk-file=disk --control="$control"
check "it has a name" has vm1 "device: vm1" status
check "but need not be named" ctl limits iops=0
fails "and is not called otherwise" "there is no such device; there are: vm1" of x status
check "config is not a list" grep -q '^{"blk-file"' <(ctl --json config)
stop_daemon only
check "each line has the name, but those of the process" [ \
	"$(grep -vc "^$program: vm1: " "$tmp/only.log")" = "$(grep -c "^$program: \(signal\|no sandbox\)" "$tmp/only.log")" ]
start_daemon only --blk-file=disk --control="$control"
fails "it has no name" "there is one without a name" of x status
stop_daemon only

# --- Sockets of others ---

# given FIRST SECOND ASSIGNMENTS: the daemon with two listening sockets as fd 3 and 4, and such an
# environment, instead of this process.
given()
{
	exec timeout 60 "$give_fd" listening "$tmp/$1.sock" "$BASH" -c 'exec 3<&7 7<&-; exec "$@"' sh \
		"$give_fd" listening "$tmp/$2.sock" "$BASH" -c "exec 4<&7 7<&-; $3 exec \"\$@\"" sh \
		"$daemon" --config="$conf" --control="$control"
}

json "{\"devices\":[{\"name\":\"root\",$good},{\"name\":\"data\",\"blk-file\":\"other\"}]}"
given first second 'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=data:root' >>"$tmp/given.log" 2>&1 &
pids[given]=$!
wait_until 30 [ -S "$control" ]
row $? "sockets which were passed by name"
check "a front-end at the first" stays first
check "is that of the device whose name it has" has data "connected: true" status
check "and not of the other" has root "connected: false" status
kill "${pids[given]}"
check "SIGTERM ends it" end_process given
[ -S "$tmp/first.sock" ] && [ -S "$tmp/second.sock" ]
row $? "these sockets stay"
end_process first.stays
rm -f "$tmp/first.sock" "$tmp/second.sock"

# not_given WORD ASSIGNMENTS: refused.
not_given()
{
	rm -f "$tmp/first.sock" "$tmp/second.sock"
	(given first second "$2") >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 2 ] && [ "$(wc -l <"$tmp/err")" -eq 1 ] && grep -q "^$program: $1" "$tmp/err"
	row $? "refused: $2" || comment <"$tmp/err"
}

not_given "data: --socket-path, --fd or --connect: one" \
	'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=root:other'
json "{\"devices\":[{\"name\":\"root\",$good},{\"name\":\"data\",\"blk-file\":\"other\",\"socket-path\":\"s\"}]}"
not_given "root: --socket-path, --fd or --connect: one" 'LISTEN_PID=$$ LISTEN_FDS=2'
not_given "LISTEN_FDNAMES: a socket has the name of no device" \
	'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=root:other'
not_given "data: --socket-path, --fd, --connect: LISTEN_FDS has" \
	'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=root:data'

# One with a connected socket, and one with its own.
json "{\"devices\":[{\"name\":\"root\",$good,\"fd\":7},
	{\"name\":\"data\",\"blk-file\":\"other\",\"socket-path\":\"$tmp/data.sock\"}]}"
"$give_fd" connected "$daemon" --config="$conf" --control="$control" >>"$tmp/given.log" 2>&1 &
pids[given]=$!
wait_until 30 has root "status: its front-end has gone for good" status 2>/dev/null
row $? "a connected front-end comes and goes"
check "the other one is served" "$give_fd" talk "$tmp/data.sock" 2
check "until it is told to end" ctl quit
check "the process ends" end_process given
json "{\"devices\":[{\"name\":\"root\",$good,\"fd\":7}]}"
check "the last one's connection ends the process" timeout 20 "$give_fd" connected \
	"$daemon" --config="$conf"
finish
