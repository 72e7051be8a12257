# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the scripts of benchmarks share: a folder and back-ends which go away with them, and a core
# each.

top_builddir=${top_builddir:-.}

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# need PROGRAM HINT
need()
{
	command -v "$1" >/dev/null || die "$1 is missing: $2"
}

# Processes which end with the benchmark.
pids=()
work=

# End all of these processes.  A benchmark may have left one of them stopped; it is woken before, not
# behind: SIGCONT takes away a stop which is still to come, and the leak sanitizer, which stops a
# process as it ends, would wait for its own for ever.
end_all()
{
	if ((${#pids[@]})); then
		kill -CONT "${pids[@]}" 2>/dev/null
		kill "${pids[@]}" 2>/dev/null
		wait "${pids[@]}" 2>/dev/null
	fi
	pids=()
}

# wait_for SOCKET PID: until it is there, half a minute at most, or the process has gone.
wait_for()
{
	local i

	for ((i = 0; i < 300; i++)); do
		[[ ! -S $1 ]] || return 0
		kill -0 "$2" 2>/dev/null || break
		sleep 0.1
	done
	die "no back-end listens at $1"
}

cleanup()
{
	end_all
	rm -rf ${work:+"$work"}
}

# begin DIR: make the folder $work in it. The load runs on core 0, the back-ends on core 1.
begin()
{
	need taskset "it is in util-linux"
	(($(nproc) > 1)) || die "this needs two cores, one for the load and one for the back-end"
	work=$(mktemp -d "$1/bench.XXXXXX") || die "cannot write to $1"
	trap cleanup EXIT
	trap 'exit 1' INT TERM
}
