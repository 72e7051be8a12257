#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bash completes the tools' and the daemons' options, and what some of them take.

. "$(dirname "$0")/../interop/lib.sh"
. "${top_srcdir:-$interop/../..}/tools/completion/vhost-tools.bash"
. "${top_srcdir:-$interop/../..}/daemons/completion.bash"
PATH=$top_builddir/tools:$top_builddir/blk:$top_builddir/net:$top_builddir/scsi:$PATH

# completes WANTED WORD...: the words as bash splits them, of which the last is to be completed, by
# the function which bash calls for the first.
completes()
{
	local wanted=$1

	shift
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	"$(complete -p "$1" | sed 's/.* -F \([^ ]*\) .*/\1/')" "$1"
	equal "$*" "$wanted" "${COMPREPLY[*]}"
}

completes "blk scsi net rng compare" vhost-bench ""
completes "compare" vhost-bench c
completes "--verify --version" vhost-bench blk --ver
completes "--depth=" vhost-bench blk --dep
completes "randread randwrite read write randrw" vhost-bench blk --rw =
completes "randread randwrite randrw" vhost-bench blk --rw = rand
completes "randread randwrite randrw" vhost-bench blk --rw rand
completes "tx" vhost-bench net --dir = t
completes "--conformance" vhost-probe --c
completes "--timeout-ms=" vhost-probe --t --time
completes "" vhost-probe /tm

mkdir "$tmp/work" && touch "$tmp/work/disk" && cd "$tmp/work" || exit 1
for kind in blk net scsi; do
	completes "--socket-path=" vhost-user-$kind --sock
	completes "--version " vhost-user-$kind --vers
	completes "on off" vhost-user-$kind --packed =
	completes "off" vhost-user-$kind --packed = of
	completes "full basic none" vhost-user-$kind --sandbox =
	completes "info" vhost-user-$kind --log-level=i
	completes "disk" vhost-user-$kind --config = di
	completes "" vhost-user-$kind --threads =
	completes "" vhost-user-$kind --no-such
	equal "$kind: all options" "$(vhost-user-$kind --help | grep -o '^  --[a-z-]*' | xargs)" \
		"$(completes "" vhost-user-$kind -- >/dev/null; printf '%s\n' "${COMPREPLY[@]}" | tr -d '= ' | xargs)"
done
completes "--blk-file=" vhost-user-blk --blk
completes "disk" vhost-user-blk --blk-file = ""
completes "null" vhost-user-net --port = nu
finish
