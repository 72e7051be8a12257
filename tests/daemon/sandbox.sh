#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What running daemons have renounced, each of their threads; and that the modes differ. All other
# tests of daemons run them in the sandbox, too.

. "$(dirname "$0")/lib-cli.sh"

[ "${SANITIZER-no}" = no ] || skip_all "a daemon with a sanitizer has no sandbox by default"

# field WORD...: the values which all threads of the daemon have, one line if they agree.
field()
{
	local word

	for word; do
		sed -n "s/^$word:[[:space:]]*//p" /proc/"${pids[d]}"/task/*/status | sort -u
	done | xargs
}

# begin KIND ARG...: a daemon of this kind runs.
begin()
{
	cli_of "$1"
	shift
	rm -f "$tmp/d.sock" "$tmp/d.log"
	start_daemon d "$@"
	# It listens before it is in the sandbox.
	wait_until 10 grep -q "^vhost-user" "$tmp/d.log"
	"$give_fd" talk "$tmp/d.sock" 1 || row 1 "it is served"
}

caps=(CapInh CapPrm CapEff CapBnd CapAmb)
no_caps="0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000"
truncate -s 1M disk

for args in "blk --blk-file=disk --engine=threads --threads=2" "blk --blk-file=disk --engine=uring" \
	"blk --blk-file=disk --engine=aio --threads=1" "scsi --lun=0,file=disk --threads=2" \
	"net --port=null --threads=1"; do
	begin $args
	equal "$args: no new privileges, a filter, in all threads" "1 2 1" \
		"$(field NoNewPrivs Seccomp Seccomp_filters)"
	equal "$args: no capabilities, in no thread" "$no_caps" "$(field "${caps[@]}")"
	stop_daemon d
done

# Daemons which other tests start are in it too: none of them asks for less.
asking()
{
	grep -rlE --include='*.sh' --include='*.[ch]' -e '--(sandbox|seccomp)=' "$tests" |
		sed "s|^$tests/||" | sort | xargs
}
tests=${top_srcdir:-$interop/../..}/tests
equal "who asks for another sandbox" \
	"bench/scsi.sh daemon/sandbox.sh" "$(asking)"

# Modes.
begin blk --engine=null --size=1M --sandbox=basic
equal "basic: no filter" "1 0" "$(field NoNewPrivs Seccomp)"
equal "basic: no capabilities" "$no_caps" "$(field "${caps[@]}")"
stop_daemon d
before=$(xargs < <(for cap in "${caps[@]}"; do sed -n "s/^$cap:[[:space:]]*//p" /proc/$$/status; done))
begin blk --engine=null --size=1M --sandbox=none
equal "none: as we are" "$before" "$(field "${caps[@]}")"
equal "none: nor a filter" "$(sed -n 's/^Seccomp:[[:space:]]*//p' /proc/$$/status)" "$(field Seccomp)"
check "none: this is said" grep -q "no sandbox" "$tmp/d.log"
stop_daemon d
begin blk --engine=null --size=1M --seccomp=off
equal "seccomp off" "1 0" "$(field NoNewPrivs Seccomp)"
stop_daemon d
begin blk --engine=null --size=1M --seccomp=log
equal "seccomp log" "1 2" "$(field NoNewPrivs Seccomp)"
stop_daemon d

# Strays.
exec 9<disk
begin blk --engine=null --size=1M
[ ! -e "/proc/${pids[d]}/fd/9" ]
row $? "a stray descriptor is closed"
stop_daemon d
exec 9<&-

# Users.
cannot "an unknown user" "--user=nobody-at-all: no such user" --socket-path=s --engine=null --size=1M \
	--user=nobody-at-all
cannot "an unknown group" "--group=nobody-at-all: no such group" --socket-path=s --engine=null \
	--size=1M --group=nobody-at-all
if [ "$(id -u)" -eq 0 ]; then
	chmod 755 "$tmp"
	mkdir "$tmp/theirs" && chown 65534 "$tmp/theirs"
	chmod 700 "$tmp/theirs"
	begin blk --engine=null --size=1M
	stop_daemon d
	"$daemon" --socket-path="$tmp/theirs/s.sock" --engine=null --size=1M --user=65534 --group=65533 \
		>"$tmp/theirs.log" 2>&1 &
	pids[d]=$!
	wait_until 30 listening theirs/s
	row $? "it serves as another user"
	wait_until 10 grep -q image "$tmp/theirs.log"
	equal "it is that user, and in no other group" "65534 65534 65534 65534 65533 65533 65533 65533" \
		"$(field Uid Gid Groups)"
	equal "another user has no capabilities" "$no_caps" "$(field "${caps[@]}")"
	stop_daemon_at()
	{
		kill "${pids[d]}"
		end_process d
	}
	check "it ends" stop_daemon_at
	# With a mode which keeps even root out, unless he overrides it.
	: >secret
	truncate -s 1M secret
	chown 65534 secret
	chmod 600 secret
	begin blk --blk-file=secret
	equal "to override modes is left to root where it is needed" "0000000000000002" "$(field CapEff)"
	stop_daemon d
else
	cannot "another user, for who is none" "--user=0: not permitted" --socket-path=s --engine=null \
		--size=1M --user=0
fi

finish
