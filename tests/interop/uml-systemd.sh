#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The units under a real systemd, as an operator has them: User-mode Linux runs it as process 1, on
# the host's root with an overlay, in which daemons and units are where make install puts them.

. "$(dirname "$0")/lib-uml.sh"

[ -x /lib/systemd/systemd ] || skip_all "package systemd is not installed"
[ "${SANITIZER:-no}" = no ] || skip_all "a sanitizer's memory is too large for the guest"

check "make install" install_into "$tmp/install" || finish
prefix=$(dirname "$(dirname "$(find "$tmp/install" -path '*/bin/vhost-user-blk')")")
prefix=${prefix#"$tmp/install"}
# With several directories of the same kind, the one which has the units.
units=$(dirname "$(find "$tmp/install" -name 'vhost-user-blk@.service')")
uml_drivers=overlay
# Half of it is for the overlay, to which all is installed.
uml_memory=512M

start_uml_guest systemd "" INSTALL="$tmp/install" PREFIX="$prefix" UNITS="$units" \
	GUEST="$interop/guest.sh" GIVE_FD="$top_builddir/tests/daemon/give_fd" <<'END'
# The first half: a root of our own, then systemd.
mkdir /mnt/upper /mnt/work /mnt/root
check "an overlay" mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root || exit
mount -t tmpfs tmpfs /mnt/root/run
mount -t tmpfs tmpfs /mnt/root/mnt
for dir in dev proc sys; do
	mount --move /$dir /mnt/root/$dir 2>/dev/null
done
[ -e /mnt/root/dev/null ] || mount -t devtmpfs dev /mnt/root/dev
check "what is installed" cp -a "$INSTALL/." /mnt/root/
# A system which starts empties /tmp, where that may be.
cp "$GIVE_FD" "/mnt/root$PREFIX/bin/give_fd"
mkdir -p /mnt/root/etc/systemd/system.conf.d /mnt/root/images
# What the host has enabled is not for us.
mount -t tmpfs tmpfs /mnt/root/etc/systemd/system
: >/mnt/root/etc/fstab
printf '[Manager]\nShowStatus=no\nLogColor=no\nLogTarget=console\nLogLevel=notice\n' \
	>/mnt/root/etc/systemd/system.conf.d/test.conf
cp "$UNITS"/vhost-user-* /mnt/root/etc/systemd/system/

{
	sed '/^# In an initramfs/,$d' "$GUEST"
	echo "PREFIX=$PREFIX"
	cat <<'INSIDE'
# The second half, as a service of systemd.
exec >/dev/tty0 2>&1
export PATH=$PREFIX/bin:$PATH
ETC=$PREFIX/etc/vhost-user

prop()
{
	systemctl show -P "$2" "vhost-user-$1@vm1.service"
}

# has KIND PROPERTY VALUE: by now, or soon.
is_now()
{
	[ "$(prop "$1" "$2")" = "$3" ]
}

has()
{
	check "$1: $2 is $3" wait_for is_now "$1" "$2" "$3" || prop "$1" "$2"
}

connected()
{
	prop $1 StatusText | grep -q "^front-end connected; .* of up to 1024 entries"
}

# connected_are "NAME:BOOL ...": of a service with several devices.
connected_are()
{
	for name in root data; do
		echo "$name:$(vhostctl --device=$name blk/vm1 status | sed -n 's/^connected: //p')"
	done | xargs | grep -qx "$1"
}

filters()
{
	sed -n 's/^Seccomp_filters:[^0-9]*//p' "/proc/$(prop $1 MainPID)/status"
}

restarts()
{
	[ "$(prop blk NRestarts)" -gt "$1" ]
}

# drop_in KIND LINE...
drop_in()
{
	kind=$1
	shift
	mkdir -p /run/systemd/system/vhost-user-$kind@vm1.service.d
	{ echo "[Service]"; printf '%s\n' "$@"; } >/run/systemd/system/vhost-user-$kind@vm1.service.d/test.conf
	systemctl daemon-reload
}

# load KIND [NAME]
load()
{
	vhost-bench $1 --verify --rw=randrw --requests=50 /run/vhost-user/$1/${2:-vm1}.sock
}

check "ldconfig" ldconfig
check "sysusers" systemd-sysusers $PREFIX/lib/sysusers.d/vhost-user-blk.conf
check "tmpfiles" systemd-tmpfiles --create $PREFIX/lib/tmpfiles.d/vhost-user-*.conf
chown vhost-user: /images
echo '{ "blk-file": "'$PREFIX'/var/lib/vhost-user/vm1.img", "size": "4M", "num-queues": 2 }' >$ETC/blk/vm1.json
echo '{ "lun": [ "0,file='$PREFIX'/var/lib/vhost-user/vm1-scsi.img,size=4M" ] }' >$ETC/scsi/vm1.json
echo '{ "port": "null" }' >$ETC/net/vm1.json

for kind in blk scsi net; do
	check "$kind: the socket" systemctl start vhost-user-$kind@vm1.socket
	equal "$kind: who may connect" "660 root:vhost-user" "$(stat -c '%a %U:%G' /run/vhost-user/$kind/vm1.sock)"
	equal "$kind: no daemon yet" inactive "$(prop $kind ActiveState)"
	check "$kind: a front-end is served" give_fd talk /run/vhost-user/$kind/vm1.sock 1
	has $kind ActiveState active
	has $kind StatusText "waiting for a front-end"
	give_fd stay /run/vhost-user/$kind/vm1.sock >/dev/null 2>&1 &
	check "$kind: its status tells of a front-end" wait_for connected $kind
	kill $!
	has $kind StatusText "waiting for a front-end"
	equal "$kind: its user" vhost-user "$(stat -c %U "/proc/$(prop $kind MainPID)")"
	check "$kind: filters of the unit, and its own" [ "$(filters $kind)" -ge 2 ]
	equal "$kind: the control socket" "600 root:root" "$(stat -c '%a %U:%G' /run/vhost-user/$kind/vm1.control)"
	check "$kind: vhostctl" vhostctl $kind/vm1 status
	[ $kind = net ] || check "$kind: a verified load" load $kind
done

# A daemon which dies is followed by another, at the same socket, however often.
times=0
while [ $times -lt 8 ]; do
	kill -9 "$(prop blk MainPID)"
	wait_for restarts $times || break
	wait_for is_now blk ActiveState active
	times=$((times + 1))
done
equal "killed: so often there is another" 8 $times
check "killed: it serves" load blk
has blk ActiveState active

# So is one which hangs.
drop_in blk WatchdogSec=2
check "hung: restart for the watchdog" systemctl restart vhost-user-blk@vm1.service
before=$(prop blk NRestarts)
kill -STOP "$(prop blk MainPID)"
check "hung: there is another" wait_for restarts "$before"
check "hung: it serves" load blk

# An image elsewhere needs a drop-in.
check "stop" systemctl stop vhost-user-blk@vm1.service
equal "stopped in order" success "$(prop blk Result)"
echo '{ "blk-file": "/images/vm1.img", "size": "4M" }' >$ETC/blk/vm1.json
drop_in blk Restart=no
refused "an image elsewhere" systemctl start vhost-user-blk@vm1.service
drop_in blk Restart=no ReadWritePaths=/images
systemctl reset-failed vhost-user-blk@vm1.service vhost-user-blk@vm1.socket
check "an image elsewhere, with a drop-in" systemctl start vhost-user-blk@vm1.service
check "the socket" systemctl start vhost-user-blk@vm1.socket
check "it serves" load blk

# Several devices of one service, each with its own socket unit.
check "stop" systemctl stop vhost-user-blk@vm1.socket vhost-user-blk@vm1.service
images=$PREFIX/var/lib/vhost-user
echo '{ "devices": [
	{ "name": "root", "blk-file": "'$images'/vm1.img", "size": "4M" },
	{ "name": "data", "blk-file": "'$images'/vm1-data.img", "size": "8M" } ] }' >$ETC/blk/vm1.json
mkdir /run/systemd/system/vhost-user-blk@vm1.socket.d
cat >/run/systemd/system/vhost-user-blk@vm1.socket.d/test.conf <<'UNIT'
[Socket]
FileDescriptorName=root
UNIT
cat >/run/systemd/system/vm1-data.socket <<'UNIT'
[Socket]
ListenStream=/run/vhost-user/blk/vm1-data.sock
FileDescriptorName=data
Service=vhost-user-blk@vm1.service
SocketGroup=vhost-user
SocketMode=0660
UNIT
drop_in blk Sockets=vm1-data.socket
check "several devices: their sockets" systemctl start vhost-user-blk@vm1.socket vm1-data.socket
equal "several devices: no daemon yet" inactive "$(prop blk ActiveState)"
check "several devices: the second starts the service" give_fd talk /run/vhost-user/blk/vm1-data.sock 1
has blk StatusText "0 of 2 front-ends connected"
pid=$(prop blk MainPID)
check "several devices: the first serves" load blk
check "several devices: the second serves" load blk vm1-data
give_fd stay /run/vhost-user/blk/vm1-data.sock >/dev/null 2>&1 &
check "several devices: each has its own socket" wait_for connected_are "root:false data:true"
kill $!
equal "several devices: one process" "$pid active" "$(prop blk MainPID) $(prop blk ActiveState)"
guest_done
INSIDE
} >/mnt/root/run-test
cat >/mnt/root/etc/systemd/system/run-test.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sh /run-test
UNIT
printf '[Unit]\nRequires=run-test.service\nDefaultDependencies=no\nAllowIsolate=yes\n' \
	>/mnt/root/etc/systemd/system/run-test.target
trap - EXIT
# Not just chroot, in which nobody has name spaces of users.
cd /mnt/root && mkdir old && pivot_root . old
exec chroot . /lib/systemd/systemd --system --unit=run-test.target
END
end_uml_guest systemd
finish
