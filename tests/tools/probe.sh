#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# vhost-probe: our daemons pass all of its rows, and it says what is wrong with back-ends which
# offer nothing, lie or hang.

. "$(dirname "$0")/lib-tools.sh"

tool_of vhost-probe
quick=--timeout-ms=200

check_help

# --- Wrong command lines ---

usage "the socket is missing"
usage "the socket is missing" --json
usage "b: not an option" a b
usage "--foo: unknown option" --foo a
usage "--timeout-ms=x: not a number" --timeout-ms=x a
usage "--timeout-ms=0: not in the range" --timeout-ms=0 a
usage "--type=toaster: not a device type" --type=toaster a
usage "--json=1: it takes no value" --json=1 a

# --- Back-ends which are none ---

dead_sockets
for mode in deaf hang; do
	serve_bad $mode
	broken "a back-end which is $mode" "$mode.sock: GET_FEATURES: no answer" $quick "$tmp/$mode.sock"
	end_serving $mode
done
serve_bad leave
broken "a back-end which leaves" "GET_FEATURES: the back-end has closed the connection" "$tmp/leave.sock"
end_serving leave
for mode in short liar flags; do
	serve_bad $mode
	broken "a back-end which answers wrongly: $mode" "GET_FEATURES: the back-end's answer is not what" "$tmp/$mode.sock"
	end_serving $mode
done
serve_bad late
broken "a back-end which hangs later" "GET_PROTOCOL_FEATURES: no answer" $quick "$tmp/late.sock"
end_serving late

# --- What is offered ---

# finds WORD ARG...: it ends with success, and says this.
finds()
{
	local word=$1

	shift
	timeout 60 "$daemon" "$@" >"$tmp/found" && grep -qe "$word" "$tmp/found" && return
	cat "$tmp/found"
	return 1
}

serve_bad empty
check "nothing is offered" finds "^features: *none" "$tmp/empty.sock"
check "nor protocol features" finds "GET_PROTOCOL_FEATURES *not offered" "$tmp/empty.sock"
end_serving empty

serve_bad idle
# It answers, but no request ever comes back.
timeout 120 "$daemon" $quick --conformance "$tmp/idle.sock" >"$tmp/idle" 2>&1
equal "a ring which is not served is a failure" 1 $?
check "and that is what it says" grep -q "no request has come back for 200 ms" "$tmp/idle"
check "other rows pass" grep -q "^pass  *features are the same" "$tmp/idle"
# It refuses nothing, either.
for row in "a feature which was not offered is refused" "an unknown message is refused" \
	"a ring which is not there is refused" "sizes which no split ring has are refused" \
	"SET_VRING_ENABLE takes 0 and 1 only" "messages of a wrong size are refused" \
	"regions which make no sense are refused" "config space has an end"; do
	check "a back-end which takes all fails: $row" grep -qx "fail  *$row" "$tmp/idle"
done
end_serving idle

# It answers all messages, but serves rings wrongly.
for mode in alien mute dies; do
	serve_bad $mode
	timeout 120 "$daemon" $quick --conformance "$tmp/$mode.sock" >"$tmp/$mode" 2>&1
	equal "a ring which is served wrongly is a failure: $mode" 1 $?
	check "and it comes to an end: $mode" grep -q "^[0-9]* passed, [1-9][0-9]* failed" "$tmp/$mode"
	end_serving $mode
done

serve_blk disk
check "a block device is seen as one" finds "^device: *block device" "$tmp/disk.sock"
check "features have names" finds "^features:.* FLUSH " "$tmp/disk.sock"
check "protocol features have names" finds "^protocol features:.* REPLY_ACK " "$tmp/disk.sock"
check "queues" finds "^queues: *[1-9]" "$tmp/disk.sock"
check "memory slots" finds "^memory slots: *[1-9]" "$tmp/disk.sock"
check "the config space is decoded" finds "^ *capacity  *8192$" "$tmp/disk.sock"
check "messages which are answered" finds "^ *GET_VRING_BASE *answered$" "$tmp/disk.sock"
check "JSON: the config space" finds '"capacity": *8192' --json "$tmp/disk.sock"
check "JSON: the features" finds '"FLUSH"' --json "$tmp/disk.sock"
check "another type is told" finds "^device: *network$" --type=net "$tmp/disk.sock"
refused_with "into a full disk" 1 "standard output: No space" \
	sh -c '"$1" "$2" >/dev/full' sh "$daemon" "$tmp/disk.sock"
end_serving disk

# --- Our daemons pass ---

# passes NAME WANTED ARG...: at least so many rows pass, and none fails.
passes()
{
	local name=$1 wanted=$2

	shift 2
	timeout 300 "$daemon" --conformance "$@" "$tmp/$name.sock" >"$tmp/rows" 2>&1
	equal "$name: exit status" 0 $?
	equal "$name: rows which fail" "" "$(grep -A1 "^fail" "$tmp/rows")"
	equal "$name: rows which are not run" "" "$(grep "^not run" "$tmp/rows")"
	[ "$(grep -c "^pass" "$tmp/rows")" -ge "$wanted" ]
	row $? "$name: at least $wanted rows pass"
	kill -0 "${pids[$name]}"
	row $? "$name: the daemon still runs"
}

serve_blk blk
passes blk 65
check "JSON: rows" finds '"result": *"pass"' --json --conformance "$tmp/blk.sock"
end_serving blk
serve_scsi scsi
passes scsi 65
end_serving scsi
serve_net net --port=null
passes net 63
end_serving net
# Its memory cannot be taken away, since it does not care for that.
serve_rng rng
timeout 300 "$daemon" --type=rng --conformance "$tmp/rng.sock" >"$tmp/rows" 2>&1
equal "rng: the only row which fails" "fail         a front-end truncates the memory" "$(grep "^fail" "$tmp/rows")"
finish
