#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# No more system calls for requests of a disk than there have to be: counted by strace, so the same
# on a busy machine.  Device and driver are on one thread; the driver kicks once for a batch.

. "$(dirname "$0")/../tap.sh"
top_builddir=${top_builddir:-.}

command -v strace >/dev/null || skip_all "strace is missing"
[ "${SANITIZER:-no}" = no ] || skip_all "a sanitizer makes system calls"
strace -qq -o /dev/null true 2>/dev/null || skip_all "strace is not allowed here"
image=$(mktemp /dev/shm/blk-syscalls.XXXXXX) || exit 1
disk=
trap 'rm -f "$image" "$image".* ${disk:+"$disk"}' EXIT
truncate -s 2M "$image"

# calls BATCHES DEPTH MODE [IMAGE [auto|uring [adjacent]]]: the names of the system calls, one a
# line.
calls()
{
	"$top_builddir/libtool" --mode=execute timeout 120 strace -qq -o "$image.trace" \
		"$top_builddir/tests/unit/blk_steps" split indirect "$3" "$2" $(($1 * $2)) \
		"${@:4}" >/dev/null || exit 1
	# Only what is submitted to a ring: how often completions are looked for is a matter of time.
	if [ "${5:-}" = uring ]; then
		sed -n 's/^\(io_uring_enter\)([0-9]*, [1-9].*/\1/p' "$image.trace"
	else
		sed 's/(.*//' "$image.trace"
	fi
}

# batch WHAT WANTED DEPTH MODE [IMAGE [auto|uring [adjacent]]]: what one more batch takes, as
# "NAME=COUNT ..." by name.  What is done once, or once in a while, rounds to nothing.
batch()
{
	local what=$1 wanted=$2 few=10 many=110 got

	shift 2
	calls $few "$@" >"$image.few"
	calls $many "$@" >"$image.many"
	got=$(awk -v n=$((many - few)) 'FNR == NR { few[$1]++; next } { many[$1]++ }
		END { for (i in many) if ((each = int((many[i] - few[i]) / n + .5)))
			print i "=" each }' \
		"$image.few" "$image.many" | sort | paste -sd' ')
	equal "$what: $wanted" "$wanted" "$got"
}

# The kick; epoll_wait() which tells of it, and that there is nothing more.
batch "32 requests without image" "epoll_wait=2 write=1" 32 poll
batch "one request without image" "epoll_wait=2 write=1" 1 poll
# And one signal.
batch "32 requests, a driver which sleeps" "epoll_wait=2 write=2" 32 irq
batch "one request, a driver which sleeps" "epoll_wait=2 write=2" 1 irq
# Of a file in memory each takes one call.
batch "32 requests of a file" "epoll_wait=2 pread64=32 write=1" 32 poll "$image"
batch "100 requests of a file" "epoll_wait=2 pread64=100 write=1" 100 poll "$image"
# Neighbours: the first one, which cannot know of others, and all those that are taken at once.
batch "100 neighbours of a file" "epoll_wait=2 pread64=1 preadv=4 write=1" 100 poll "$image" auto \
	adjacent

# A disk gets them in groups of 1, 1, 2, 4 and then 8.
disk=$(mktemp "$top_builddir/blk-syscalls.XXXXXX") || exit 1
if why=$(dd if=/dev/zero of="$disk" bs=1M count=2 oflag=direct 2>&1) &&
	why=$(timeout 60 "$top_builddir/tests/unit/blk_steps" split indirect poll 1 1 "$disk" uring 2>&1); then
	batch "32 requests of a disk" "io_uring_enter=7" 32 poll "$disk" uring
	batch "4 requests of a disk" "io_uring_enter=3" 4 poll "$disk" uring
	batch "32 neighbours of a disk" "io_uring_enter=2" 32 poll "$disk" uring adjacent
	batch "one request of a disk" "io_uring_enter=1" 1 poll "$disk" uring
else
	row 0 "requests of a disk # SKIP no O_DIRECT or io_uring here: ${why##*$'\n'}"
fi
tap_end
