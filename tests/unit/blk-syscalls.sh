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
trap 'rm -f "$image" "$image".*' EXIT
truncate -s 1M "$image"

# calls BATCHES DEPTH MODE [IMAGE]: the names of the system calls, one a line.
calls()
{
	"$top_builddir/libtool" --mode=execute strace -qq -o "$image.trace" \
		"$top_builddir/tests/unit/blk_steps" split indirect "$3" "$2" $(($1 * $2)) \
		${4:+"$4"} >/dev/null || exit 1
	sed 's/(.*//' "$image.trace"
}

# batch WHAT WANTED DEPTH MODE [IMAGE]: what one more batch takes, as "NAME=COUNT ..." by name.
# What is done once, or once in a while, rounds to nothing.
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
tap_end
