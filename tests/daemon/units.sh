#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What systemd, libvirt and management software find the daemons by: units, discovery files, XML.

. "$(dirname "$0")/../interop/lib.sh"

units=$top_builddir/daemons/units
doc=${top_srcdir:-$interop/../..}/doc
man=${top_srcdir:-$interop/../..}/man
kinds="blk net scsi"

# --- systemd ---

# The units as they will be, but for the place of the program, in $tmp/units.
copy_units()
{
	mkdir "$tmp/units" && cp "$units"/vhost-user-*@.socket "$tmp/units" || return 1
	for kind in $kinds; do
		sed "s|^ExecStart=[^ ]*|ExecStart=$top_builddir/$kind/vhost-user-$kind|" \
			"$units/vhost-user-$kind@.service" >"$tmp/units/vhost-user-$kind@.service" || return 1
	done
}

# Nothing is said, even about what is only strange.
verified()
{
	[ -z "$(SYSTEMD_UNIT_PATH=$tmp/units: systemd-analyze verify --man=no "$@" 2>&1 | tee /dev/stderr)" ]
}

# Where the daemon says that it is ready, and where its socket is.
has_line()
{
	grep -qFx -- "$2" "$units/$1"
}

# expand NAME...: the system calls of these sets of systemd's, which have other sets in them.
expand()
{
	local name

	for name; do
		case $name in
		@*)
			# shellcheck disable=SC2046
			expand $(systemd-analyze syscall-filter "$name" | sed -n 's/^    \([@a-z]\)/\1/p')
			;;
		*) echo "$name" ;;
		esac
	done
}

# The system calls which a unit's filter allows: its lines add and remove one after the other.
allowed_by()
{
	local line

	: >"$tmp/allowed"
	sed -n 's/^SystemCallFilter=//p' "$units/$1" | while read -r line; do
		# shellcheck disable=SC2086
		expand ${line#\~} | sort -u >"$tmp/expanded"
		case $line in
		\~*) sort -u "$tmp/allowed" | comm -23 - "$tmp/expanded" >"$tmp/now" ;;
		*) sort -u "$tmp/allowed" "$tmp/expanded" >"$tmp/now" ;;
		esac
		mv "$tmp/now" "$tmp/allowed"
	done
	cat "$tmp/allowed"
}

# The sockets of the manual's process with several devices: a drop-in, and a unit.
other_sockets()
{
	local dir=$tmp/units/vhost-user-blk@vm1.socket.d

	mkdir "$dir"
	awk -v RS='\n[.]Ed\n' '/\[Socket\]/ { sub(/.*\[Socket\]/, "[Socket]"); print > dir "/" ++n }' dir="$dir" \
		"$man/vhost-user-service.7"
	mv "$dir/1" "$dir/override.conf" && mv "$dir/2" "$tmp/units/vm1-data.socket"
	check "sockets of several devices" verified "$tmp/units/vhost-user-blk@vm1.socket" \
		"$tmp/units/vm1-data.socket"
}

# The drop-ins of the manual, each of which systemd takes as it is: check_drop_ins.
check_drop_ins()
{
	local kind text title dir

	awk '/^\.Ss / { title = substr($0, 5) } /^\[Service\]/ { on = 1 } /^\.Ed/ { if (on) print ""; on = 0 }
		on { printf "%s%s", $0 == "[Service]" ? title "\t" : "\\n", $0 }' \
		"$man/vhost-user-service.7" >"$tmp/drop-ins"
	[ "$(wc -l <"$tmp/drop-ins")" -ge 8 ]
	row $? "the manual has drop-ins"
	while IFS=$'\t' read -r title text; do
		kind=blk
		[[ $title != *SCSI* ]] || kind=scsi
		[[ $title != *tap* ]] || kind=net
		[[ $title != Several* ]] || other_sockets
		dir=$tmp/units/vhost-user-$kind@vm1.service.d
		mkdir "$dir" && printf "$text\n" >"$dir/override.conf"
		check "drop-in: $title" verified "$tmp/units/vhost-user-$kind@vm1.service"
		rm -r "$dir"
	done <"$tmp/drop-ins"
}

# Those which the daemon's own filter allows.
wanted_calls()
{
	grep -o 'SCMP_SYS([a-z0-9_]*)' "$doc/../daemons/seccomp.c" | sed 's/.*(\(.*\))/\1/' | sort -u
}

if command -v systemd-analyze >/dev/null; then
	check "the units are there" copy_units
	[ "$(wanted_calls | wc -l)" -gt 100 ]
	row $? "the daemons' own filter is found"
	for kind in $kinds; do
		check "systemd-analyze verify: $kind" verified "$tmp/units/vhost-user-$kind@vm1.service" \
			"$tmp/units/vhost-user-$kind@vm1.socket" "$tmp/units/vhost-user-$kind-control@vm1.socket"
		# Ten times what it prints: at most 2.0.
		check "systemd-analyze security: $kind" systemd-analyze security --offline=true --threshold=20 \
			"$tmp/units/vhost-user-$kind@.service"
		equal "the unit's filter leaves what the daemon's own does: $kind" "" \
			"$(comm -13 <(allowed_by "vhost-user-$kind@.service") <(wanted_calls) | xargs)"
	done
	comm -12 <(allowed_by vhost-user-blk@.service) <(printf '%s\n' mount reboot setuid) | grep -q .
	[ $? -eq 1 ]
	row $? "and not what is privileged"
	check_drop_ins
else
	row 0 "systemd-analyze # SKIP package systemd is not installed"
fi
for kind in $kinds; do
	for line in Type=notify Restart=on-failure WatchdogSec=60; do
		check "$kind: $line" has_line "vhost-user-$kind@.service" $line
	done
	for line in "ListenStream=%t/vhost-user/$kind/%i.sock" SocketMode=0660 SocketGroup=vhost-user; do
		check "$kind: the socket: $line" has_line "vhost-user-$kind@.socket" "$line"
	done
	for line in "ListenStream=%t/vhost-user/$kind/%i.control" SocketMode=0600 FileDescriptorName=control \
		"Service=vhost-user-$kind@%i.service"; do
		check "$kind: the control socket: $line" has_line "vhost-user-$kind-control@.socket" "$line"
	done
	check "$kind: both sockets are the service's" has_line "vhost-user-$kind@.service" \
		"Sockets=vhost-user-$kind@%i.socket vhost-user-$kind-control@%i.socket"
	check "$kind: the folder of the socket is made" \
		grep -q "^d /run/vhost-user/$kind 0755 " "$units/tmpfiles/vhost-user-$kind.conf"
	equal "$kind: all is filled in" "" "$(grep -ho '@[a-zA-Z]*@\|^\[[a-z].*' \
		"$units/vhost-user-$kind@.service" "$units/vhost-user-$kind"*@.socket | sed 's/^@@$//')"
done

# A device's options, as the manual has them.
sed -n '/^{$/,/^}$/p' "$man/vhost-user-service.7" >"$tmp/manual.json"
check "the manual's configuration" "$top_builddir/blk/vhost-user-blk" --config="$tmp/manual.json" --check-config

# --- Discovery ---

# discovered KIND KEY: what the file says.
discovered()
{
	sed -n "s/^  \"$2\": \"\(.*\)\",\{0,1\}\$/\1/p" "$top_builddir/daemons/qemu/50-vhost-user-$1.json"
}

# agrees STRUCT: the JSON on stdin is what vhost-user.json of QEMU defines by this name, and nothing
# more.
agrees()
{
	python3 -c '
import json, sys
types = "9p balloon block caif console crypto gpu input net rng rpmsg rproc-serial scsi vsock fs".split()
features = { "block": ["read-only", "blk-file"] }
found = json.load(sys.stdin)
kind = found.pop("type")
assert kind in types, kind
if sys.argv[1] == "VHostUserBackendCapabilities":
	if kind in features:
		assert set(found.pop("features")) <= set(features[kind])
else:
	assert found.pop("binary").startswith("/")
	assert isinstance(found.pop("description"), str)
	assert all(isinstance(tag, str) for tag in found.pop("tags", []))
assert not found, found
' "$1"
}

# By QEMU's schema.
check_schema()
{
	check "$1: the file is by the schema" agrees VhostUserBackend \
		<"$top_builddir/daemons/qemu/50-vhost-user-$1.json"
	"$top_builddir/$1/vhost-user-$1" --print-capabilities >"$tmp/capabilities"
	check "$1: and so are the capabilities" agrees VHostUserBackendCapabilities <"$tmp/capabilities"
}

for kind in $kinds; do
	equal "$kind: the type which is discovered is that which the daemon prints" \
		"$("$top_builddir/$kind/vhost-user-$kind" --print-capabilities | sed 's/^{"type":"\([a-z]*\)".*/\1/')" \
		"$(discovered $kind type)"
	equal "$kind: the program" vhost-user-$kind "$(basename "$(discovered $kind binary)")"
	if command -v python3 >/dev/null; then
		check_schema $kind
	fi
done

# --- libvirt ---

# The XML of a manual page, in a domain.
domain_of()
{
	echo "<domain type='kvm'><name>vm1</name><memory>1048576</memory><os><type>hvm</type></os>"
	sed -n '/^\.Sh ATTACHING LIBVIRT/,/^\.Ed/{/^ *</p}' "$man/vhost-user-$1.1"
	echo "</domain>"
}

if command -v virt-xml-validate >/dev/null; then
	check "libvirt: the example" virt-xml-validate "$doc/libvirt/domain.xml" domain
	for kind in blk net; do
		domain_of $kind >"$tmp/$kind.xml"
		check "libvirt: the manual's XML of $kind" virt-xml-validate "$tmp/$kind.xml" domain
	done
	sed 's/type=.vhostuser. device/type="vhost" device/' "$doc/libvirt/domain.xml" >"$tmp/bad.xml"
	! virt-xml-validate "$tmp/bad.xml" domain >/dev/null 2>&1
	row $? "libvirt: what is wrong is seen"
else
	row 0 "virt-xml-validate # SKIP package libvirt-clients is not installed"
fi

finish
