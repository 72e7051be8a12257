#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bash completes the tools' options, and what some of them take.

. "$(dirname "$0")/../interop/lib.sh"
. "${top_srcdir:-$interop/../..}/tools/completion/vhost-tools.bash"
PATH=$top_builddir/tools:$PATH

# completes WANTED WORD...: the words as bash splits them, of which the last is to be completed.
completes()
{
	local wanted=$1

	shift
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_vhost_tool "$1"
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
finish
