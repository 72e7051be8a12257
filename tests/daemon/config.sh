#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Configuration from a file: what it says counts as the command line does, what is wrong with it is
# said with file, key and reason, and what is printed makes the same process again.

. "$(dirname "$0")/lib-cli.sh"

truncate -s 1M disk a,b
conf=$tmp/conf.json

printed()
{
	"$daemon" --print-config "$@"
}

# same NAME TEXT ARG...: the file says the same as these arguments.
same()
{
	local name=$1

	json "$2"
	shift 2
	equal "$name: as the command line" "$(printed "$@")" "$(printed --config="$conf")"
	printed "$@" >"$tmp/again.json"
	equal "$name: printed and read again" "$(printed "$@")" "$(printed --config="$tmp/again.json")"
}

# --- What is right ---

cli_of blk
same "blk" '{"blk-file": "disk", "size": "1M", "num-queues": 4, "threads": 2, "packed": "off",
	"read-only": false, "iommu": true, "block-size": 4096, "socket-path": "s", "serial": "a\"b\u00e9"}' \
	--blk-file=disk --size=1M --num-queues=4 --threads=2 --packed=off --iommu --block-size=4096 \
	--socket-path=s --serial='a"bé'
same "blk, numbers" '{"engine":"null","size":9007199254740992,"connect":"s"}' --engine=null --size=8192T \
	--connect s
equal "what is printed" '{ "blk-file": "disk", "read-only": true, "socket-path": "s" }' \
	"$(printed --socket-path=s --read-only --blk-file=disk | tr -s '\n\t' ' ' | sed 's/ $//')"
json '{"blk-file": "none"}'
before=$(listing)
check "nothing is opened to check, and the socket may come from elsewhere" \
	"$daemon" --config="$conf" --check-config
equal "check prints nothing" "" "$("$daemon" --config="$conf" --check-config 2>&1)"
equal "nothing is left behind" "$before" "$(listing)"
refused_with "print into a full disk" 1 "--print-config: No space" \
	sh -c '"$1" --config="$2" --print-config >/dev/full' sh "$daemon" "$conf"

cli_of scsi
same "scsi, texts" '{"lun": ["0,file=disk", "1:2,file=a,,b,read-only"], "socket-path": "s"}' \
	--lun=0,file=disk --lun=1:2,file=a,,b,read-only --socket-path=s
same "scsi, objects" '{"socket-path": "s", "lun": [{"file": "disk", "lun": 0},
	{"lun": "1:2", "read-only": true, "file": "a,b", "cdrom": false, "block-size": 512}]}' \
	--lun=0,file=disk --lun=1:2,read-only,file=a,,b,block-size=512 --socket-path=s

cli_of net
same "net" '{"port": "null", "queue-pairs": 2, "mac": "52:54:00:12:34:56", "fd": 0}' \
	--port=null --queue-pairs=2 --mac=52:54:00:12:34:56 --fd=0

cli_of blk
json '{"blk-file": "disk", "num-queues": 2, "threads": 2, "locking": "off"}'
start_daemon run --config="$conf"
equal "it has as many threads as the file says" 2 \
	"$(cat "/proc/${pids[run]}/task"/*/comm | grep -c queues-)"
stop_daemon run

# --- What is wrong ---

good='"socket-path":"s","blk-file":"disk"'
wrong "unexpected end" ''
wrong "unexpected end" '{'
wrong "not a JSON object" '[]'
wrong "null" 'null'
wrong ".*at byte" '{"size":01}'
wrong ".*at byte" "{$good,}"
wrong ".*at byte" "{$good} x"
wrong ".*at byte" "{'blk-file':'disk'}"
wrong ".*at byte" "{/* no */ $good}"
wrong ".*utf" $'{"blk-file":"\xff"}'
wrong ".*nest.*deep" "$(printf '[%.0s' {1..1000})"
wrong "blk-file: given more than once" "{$good,\"blk-file\":\"disk\"}"
wrong "blk.u002dfile: a key with a backslash" "{$good,\"blk\\u002dfile\":\"disk\"}"
wrong "blk-file: given more than once" "{$good}" --blk-file=disk
wrong "config: given more than once" "{$good,\"config\":\"x\"}"
wrong "blk: unknown" "{$good,\"blk\":1}"
wrong ": unknown" "{$good,\"\":1}"
wrong "help: unknown" "{$good,\"help\":true}"
wrong "lun: unknown" "{$good,\"lun\":[]}"
wrong "read-only: not of type boolean" "{$good,\"read-only\":\"true\"}"
wrong "read-only: not of type boolean" "{$good,\"read-only\":null}"
wrong "num-queues: not of type integer" "{$good,\"num-queues\":\"1\"}"
wrong "num-queues: not of type integer" "{$good,\"num-queues\":1.0}"
wrong "num-queues: not of type integer" "{$good,\"num-queues\":[1]}"
wrong "num-queues: not in the range from 1 to 256" "{$good,\"num-queues\":4294967297}"
wrong "num-queues: not in the range from 1 to 256" "{$good,\"num-queues\":99999999999999999999}"
wrong "num-queues: not a number" "{$good,\"num-queues\":-1}"
wrong "size: not of type integer or string" "{$good,\"size\":true}"
wrong "size: not a number of bytes" "{$good,\"size\":\"1X\"}"
wrong "engine: not of type string" "{$good,\"engine\":1}"
wrong "engine: not auto" "{$good,\"engine\":\"foo\"}"
wrong "block-size: not 512 or 4096" "{$good,\"block-size\":1024}"
wrong "serial: it needs a value" "{$good,\"serial\":\"\"}"
wrong "serial: longer than 20" "{$good,\"serial\":\"123456789012345678901\"}"
wrong "serial: a NUL byte" "{$good,\"serial\":\"a\\u0000b\"}"
printf '{"blk-file":"a\0b"}' >"$conf"
refused_with "a NUL byte" 2 "--config=$conf: a NUL byte" "$daemon" --config="$conf"
head -c 1048577 /dev/zero | tr '\0' ' ' >"$conf"
refused_with "a file which is too long" 2 "--config=$conf: File too large" "$daemon" --config="$conf"
head -c 1048570 /dev/zero | tr '\0' ' ' >"$conf"
refused_with "a file which is just not too long" 2 "--config=$conf: unexpected end" "$daemon" \
	--config="$conf"
usage "--config=none: No such file" --config=none
usage "--config=folder: Is a directory" --config=folder
json "{$good,\"threads\":3,\"num-queues\":2}"
usage "--threads=3: more than queues" --config="$conf"
usage "--threads=3: more than queues" --config="$conf" --check-config

cli_of scsi
wrong "lun: not of type array" '{"lun":"0,file=disk"}'
wrong "lun.1.: not of type string or object" '{"lun":["0,file=disk",1]}'
wrong "lun.0.: lun: it is required" '{"lun":[{"file":"disk"}]}'
wrong "lun.0.: lun: not of type string or integer" '{"lun":[{"lun":true}]}'
wrong "lun.0.: lun: a comma" '{"lun":[{"lun":"0,cdrom"}]}'
wrong "lun.0.: fil: unknown" '{"lun":[{"lun":0,"fil":"disk"}]}'
wrong "lun.0.: cdrom: not of type boolean" '{"lun":[{"lun":0,"cdrom":1}]}'
json '{"lun":[{"lun":0,"file":"disk","serial":"123456789012345678901"}],"socket-path":"s"}'
usage "--lun=0,file=disk,.*: serial: longer" --config="$conf"
finish
