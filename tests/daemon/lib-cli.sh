# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the tests of the daemons' command lines share: how a refusal looks, and what holds for each
# daemon.
#
# A test sources this file, calls cli_of, and says what a good command line is; then it calls the
# functions below for what is the same everywhere, and adds its own. Everything happens in the
# folder $work, so that what is left behind is seen.

. "$(dirname "${BASH_SOURCE[0]}")/../interop/lib.sh"

give_fd=${GIVE_FD:-$top_builddir/tests/daemon/give_fd}
work=$tmp/work
mkdir "$work" && cd "$work" || exit 1
echo "not a socket" >file
mkdir folder

# Arguments with which it starts when it is told of a socket.
good=()
# The same, and they make something which has to go again when it cannot start after all.
making=()
# The same as good, and queues are on two threads.
threaded=()

# cli_of FOLDER: the daemon is vhost-user-FOLDER.
cli_of()
{
	program=vhost-user-$1
	daemon=$top_builddir/$1/$program
	man=${top_srcdir:-$interop/../..}/man/$program.1
}

# What is there, but for times: a test may have more to list.
listing()
{
	ls -lRA --time-style=+ "$work"
	find "$work" -type f -exec cksum {} + | sort
}

# refused_with NAME STATUS WORD COMMAND...: the command ends with this status, one line on stderr
# with this word in it, nothing on stdout, and nothing left behind.
refused_with()
{
	local name=$1 status=$2 word=$3 before found

	shift 3
	before=$(listing)
	timeout 20 "$@" >"$tmp/out" 2>"$tmp/err"
	found=$?
	{
		[ $found -eq "$status" ] || echo "exit status $found instead of $status"
		[ "$(wc -l <"$tmp/err")" -eq 1 ] || echo "not one line on stderr"
		grep -q "^$program: " "$tmp/err" || echo "stderr does not begin with the name"
		grep -qe "$word" "$tmp/err" || echo "stderr does not say $word"
		[ ! -s "$tmp/out" ] || echo "something on stdout"
		[ "$before" = "$(listing)" ] || echo "something was left behind"
	} >"$tmp/wrong"
	[ ! -s "$tmp/wrong" ]
	row $? "$name" && return
	cat "$tmp/wrong" "$tmp/err" | comment
}

# usage WORD ARG...: refused as a wrong command line.
usage()
{
	local word=$1

	shift
	refused_with "usage: $(tr '\n' ' ' <<<"${*:-nothing}")" 2 "$word" "$daemon" "$@"
}

# usage_with WORD ARG...: the same, when all else is good.
usage_with()
{
	local word=$1

	shift
	usage "$word" --socket-path=s "${good[@]}" "$@"
}

# cannot NAME WORD ARG...: refused while it starts.
cannot()
{
	local name=$1 word=$2

	shift 2
	refused_with "$name" 1 "$word" "$daemon" "$@"
}

# --- Options which only print ---

help_options()
{
	"$daemon" --help | grep -o '^  --[a-z-]*' | tr -d ' ' | sort
}

manual_options()
{
	sed -n 's/^\.It Fl -\([a-z-]*\).*/--\1/p' "$man" | sort
}

manual_is_clean()
{
	[ -z "$(mandoc -Tlint "$man" 2>&1 | tee /dev/stderr)" ]
}

# Help, version and manual.
check_help()
{
	check "help" "$daemon" --help
	check "version" "$daemon" --version
	equal "the version is one line with the name" 1 "$("$daemon" --version | grep -c "^$program [0-9]")"
	refused_with "help into a full disk" 1 "--help: No space" \
		sh -c '"$1" --help >/dev/full' sh "$daemon"
	equal "help and the manual have the same options" "$(help_options)" "$(manual_options)"
	if command -v mandoc >/dev/null; then
		check "the manual is clean" manual_is_clean
	fi
}

# --- Wrong command lines ---

# Of the options which all daemons have.
check_usage()
{
	usage "--socket-path, --fd or --connect"
	usage "--socket-path, --fd or --connect" "${good[@]}"
	usage "--socket-path, --fd, --connect" --socket-path=s --fd=7 "${good[@]}"
	usage "--socket-path, --fd, --connect" --socket-path=s --connect=s "${good[@]}"
	usage "--packed=maybe" --socket-path=s "${good[@]}" --packed=maybe
	usage "--foo: unknown option" --foo
	usage "--foo: unknown option" --foo=bar
	usage "foo: not an option" foo
	usage "-s: not an option" -s
	usage "--: not an option" --
	usage "--=x: not an option\|--: not an option" --=x
	usage "--socket-path=: it needs a value" --socket-path= "${good[@]}"
	usage "--fd=x: not a number" --fd=x "${good[@]}"
	usage "--fd=2147483648: not in the range" --fd=2147483648 "${good[@]}"
	usage_with "--help=x: it takes no value" --help=x
	usage_with "--log-level=all: not error" --log-level=all
	usage_with "--queue-size=0: not in the range" --queue-size=0
	usage_with "--queue-size=32769: not in the range" --queue-size=32769
	usage_with "--threads=65: not in the range" --threads=65
	usage_with "--poll-us=1000001: not in the range" --poll-us=1000001
	usage_with "--foo?bar: unknown option" $'--foo\nbar'
}

# --- Sockets ---

# check_sockets NAME ARG...: sockets which cannot be made, with these arguments.
check_sockets()
{
	local name=$1

	shift
	cannot "a socket in a missing folder, $name" "--socket-path=none/s: No such file" \
		--socket-path=none/s "$@"
	cannot "a socket in the place of a file, $name" "--socket-path=file: .*not a socket" \
		--socket-path=file "$@"
	cannot "a socket in the place of a folder, $name" "--socket-path=folder: .*not a socket" \
		--socket-path=folder "$@"
	cannot "a socket with a long name, $name" "--socket-path=.*: too long" \
		--socket-path="$(printf '%0108d' 0)" "$@"
}

# bad_fd NAME WORD COMMAND...: the command runs the daemon with such a file descriptor 7.
bad_fd()
{
	local name=$1 word=$2

	shift 2
	refused_with "$name" 1 "--fd=7: $word" "$@" "$daemon" --fd=7 "${making[@]}"
}

check_bad_fds()
{
	local fd

	bad_fd "a closed fd" "no such file descriptor" "$BASH" -c '"$@" 7<&-' sh
	bad_fd "a file as fd" "not a socket" "$BASH" -c '"$@" 7<file' sh
	bad_fd "a pipe as fd" "not a socket" "$BASH" -c '"$@" 7< <(:)' sh
	bad_fd "a datagram socket as fd" "not a Unix stream socket" "$give_fd" datagram
	bad_fd "a TCP socket as fd" "not a Unix stream socket" "$give_fd" inet
	bad_fd "an idle socket as fd" "neither listening nor connected" "$give_fd" stream
	# These numbers are those of files which the daemon opens itself.
	for fd in 3 4 5 6; do
		refused_with "fd $fd, which nobody gave" 1 "--fd=$fd: no such file descriptor" \
			"$BASH" -c '"$@" 3<&- 4<&- 5<&- 6<&-' sh "$daemon" --fd=$fd "${good[@]}"
	done
}

check_fds()
{
	check "a connected fd: served, and the daemon ends with it" \
		timeout 20 "$give_fd" connected "$daemon" --fd=7 "${good[@]}"
	check "a connected fd, with threads" \
		timeout 20 "$give_fd" connected "$daemon" --fd=7 "${threaded[@]}"

	"$give_fd" listening "$tmp/given.sock" "$daemon" --fd=7 "${good[@]}" >>"$tmp/given.log" 2>&1 &
	pids[given]=$!
	wait_until 30 listening given
	check "a listening fd: front-ends come and go" "$give_fd" talk "$tmp/given.sock" 3
	kill "${pids[given]}"
	check "a listening fd: SIGTERM ends the daemon" end_process given
	[ -S "$tmp/given.sock" ]
	row $? "a listening fd: the socket is left to who made it"
}

# A front-end which listens.
check_connect()
{
	"$daemon" --connect="$tmp/theirs.sock" "${good[@]}" >"$tmp/connect.log" 2>&1 &
	pids[connect]=$!
	check "it calls at the front-end's socket, again and again" "$give_fd" answer "$tmp/theirs.sock" 3
	check "it goes on calling" "$give_fd" answer "$tmp/theirs.sock" 1
	kill "${pids[connect]}"
	check "SIGTERM ends it while it calls" end_process connect
}

# --- The end ---

# stays NAME: a front-end is connected, and stays.
stays()
{
	# Empty before we look: there may be one of an earlier daemon.
	: >"$tmp/$1.stays"
	"$give_fd" stay "$tmp/$1.sock" >"$tmp/$1.stays" 2>&1 &
	pids[$1.stays]=$!
	wait_until 30 grep -q ready "$tmp/$1.stays"
}

# check_sigterm NAME ARG...: while a front-end is connected.
check_sigterm()
{
	local name=$1

	shift
	start_daemon sigterm "$@"
	check "a front-end stays, $name" stays sigterm
	stop_daemon sigterm
	check "the front-end sees the end, $name" end_process sigterm.stays
}

# check_shrink NAME ARG...
check_shrink()
{
	local name=$1

	shift
	rm -f "$tmp/shrink.log"
	start_daemon shrink "$@"
	check "a front-end truncates the guest's memory, $name" "$give_fd" shrink "$tmp/shrink.sock"
	equal "it is told once what was negotiated, $name" 1 \
		"$(grep -c "^$program: shrink: front-end uses split rings" "$tmp/shrink.log")"
	check "the next front-end is served, $name" "$give_fd" talk "$tmp/shrink.sock" 1
	stop_daemon shrink
}

# Not bash any more, whose traps would take our folder away.
is_daemon()
{
	grep -q vhost-user "/proc/$1/comm"
}

# A signal at any moment of the start: the process ends by it or in order, and leaves nothing.
early()
{
	local i j status

	for i in $(seq 40); do
		"$daemon" --socket-path=s "${good[@]}" --log-level=error &
		pids[early]=$!
		wait_until 10 is_daemon "${pids[early]}" || return 1
		for ((j = 0; j < i * 50; j++)); do :; done
		kill "${pids[early]}"
		end_process early
		status=$?
		[ $status -eq 0 ] || [ $status -eq 143 ] || { echo "exit status $status"; return 1; }
		[ ! -e s ] || { echo "the socket is left"; return 1; }
	done
}

check_signals()
{
	start_daemon sigint "${good[@]}"
	kill -INT "${pids[sigint]}"
	check "SIGINT ends the daemon" end_process sigint
	[ ! -e "$tmp/sigint.sock" ]
	row $? "SIGINT: the socket is gone"
	check_sigterm "0 threads" "${good[@]}"
	check_sigterm "2 threads" "${threaded[@]}"
	check "SIGTERM at any moment of the start" early
}

# A socket which was left, and one which was replaced.
check_stale_sockets()
{
	start_daemon killed "${good[@]}"
	{ kill -9 "${pids[killed]}"; end_process killed; } 2>/dev/null
	[ -S "$tmp/killed.sock" ]
	row $? "SIGKILL leaves the socket"
	# It takes the place of the stale one.
	start_daemon killed "${good[@]}"
	check "what replaced it is served" "$give_fd" talk "$tmp/killed.sock" 1
	stop_daemon killed

	start_daemon replaced "${good[@]}"
	rm "$tmp/replaced.sock" && : >"$tmp/replaced.sock"
	kill "${pids[replaced]}"
	check "a daemon whose socket was replaced ends" end_process replaced
	[ -f "$tmp/replaced.sock" ]
	row $? "what replaced the socket is not removed"
}

# With stdin, stdout and stderr closed, what is written to them must not go to another file.
closed()
{
	local before

	before=$(listing)
	"$daemon" --socket-path="$tmp/closed.sock" "${good[@]}" <&- >&- 2>&- &
	pids[closed]=$!
	wait_until 30 listening closed
	[ "$(readlink /proc/"${pids[closed]}"/fd/{0,1,2} | sort -u)" = /dev/null ] || return 1
	"$give_fd" talk "$tmp/closed.sock" 2 && kill "${pids[closed]}" && end_process closed &&
		[ "$(listing)" = "$before" ]
}

# "--name value" is as good as "--name=value": spaced ARG..., to be given besides.
spaced()
{
	local arg args=(--socket-path "$tmp/spaced.sock")

	for arg in "${good[@]}"; do
		args+=("${arg%%=*}" "${arg#*=}")
	done
	"$daemon" "${args[@]}" "$@" 2>/dev/null &
	pids[spaced]=$!
	wait_until 30 listening spaced
	kill "${pids[spaced]}" && end_process spaced
}

# check_streams_and_arguments ARG...: see spaced().
check_streams_and_arguments()
{
	check "closed standard streams" closed
	check "values as arguments of their own" spaced "$@"
}

# Configuration files: the script says where one is, in $conf.

# json TEXT: this is in the file.
json()
{
	printf '%s\n' "$1" >"$conf"
}

# wrong WORD TEXT [ARG...]: a file with this text is refused for this reason.
wrong()
{
	local word=$1 text=$2

	shift 2
	json "$text"
	refused_with "refused: $text $*" 2 "^$program: --config=$conf: $word" "$daemon" \
		--config="$conf" "$@"
}
