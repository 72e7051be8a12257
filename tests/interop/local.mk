# SPDX-License-Identifier: BSD-3-Clause
# Tests with real front-ends, the longest first; none of them runs with LIBVHOST_INTEROP=0 in the
# environment.
interop_tests = \
	tests/interop/uml-fio.sh \
	tests/interop/uml-scsi.sh \
	tests/interop/qemu-scsi.sh \
	tests/interop/uml-sg3.sh \
	tests/interop/uml-pass.sh \
	tests/interop/uml-hotplug.sh \
	tests/interop/uml-stuck.sh \
	tests/interop/qemu-stop.sh \
	tests/interop/net-qemu.sh \
	tests/interop/net-migrate.sh \
	tests/interop/net-trouble.sh \
	tests/interop/qemu-memory.sh \
	tests/interop/qemu-kill.sh \
	tests/interop/qemu-walk.sh \
	tests/interop/qemu-migrate.sh \
	tests/interop/qemu-postcopy.sh \
	tests/interop/qemu-iommu.sh \
	tests/interop/qemu-blk.sh \
	tests/interop/net-uml.sh \
	tests/interop/uml-systemd.sh \
	tests/interop/uml-discard.sh \
	tests/interop/qemu-reconnect.sh \
	tests/interop/net-dpdk.sh \
	tests/interop/dpdk-net.sh \
	tests/interop/probe-peers.sh \
	tests/interop/uml-config.sh \
	tests/interop/uml-error.sh \
	tests/interop/uml-resize.sh \
	tests/interop/qemu-resize.sh \
	tests/interop/uml-blk.sh \
	tests/interop/qemu-rng.sh \
	tests/interop/seabios-boot.sh
interop_tests1 = $(interop_tests)
interop_tests0 =

# configure puts $(interop_tests$(LIBVHOST_INTEROP)) here, which automake itself takes for the
# name of one test.
TESTS += @INTEROP_TESTS@
EXTRA_DIST += $(interop_tests) \
	tests/interop/lib.sh \
	tests/interop/lib-uml.sh \
	tests/interop/lib-qemu.sh \
	tests/interop/lib-migrate.sh \
	tests/interop/lib-net.sh \
	tests/interop/guest.sh \
	tests/interop/guest-net.sh \
	tests/interop/guest-scsi.sh \
	tests/interop/pattern.sh \
	tests/interop/qmp

# They run in guests, which are given their libraries, but no sanitizer's.
check_PROGRAMS += tests/interop/load tests/interop/stream
tests_interop_load_CFLAGS = -std=gnu11 $(WARN) -pthread
tests_interop_load_LDFLAGS = -pthread
tests_interop_stream_CFLAGS = -std=gnu11 $(WARN) -pthread
tests_interop_stream_LDFLAGS = -pthread

# A driver for vhost-user-scsi.
check_PROGRAMS += tests/interop/pass
tests_interop_pass_LDADD = frontend/libfrontend.la

# A device for DPDK's driver, and the other side of a tap.
check_PROGRAMS += tests/interop/net_echo tests/interop/wire_echo
tests_interop_net_echo_LDADD = libvhost/libcore.la

# To be preloaded into User-mode Linux; a shared object needs some -rpath.
noinst_LTLIBRARIES += tests/interop/xstate.la
tests_interop_xstate_la_SOURCES = tests/interop/xstate.c
tests_interop_xstate_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nowhere
