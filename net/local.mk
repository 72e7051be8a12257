# SPDX-License-Identifier: BSD-3-Clause
# The network device, as a convenience library for its tests too, and its daemon.
noinst_LTLIBRARIES += net/libnet.la
net_libnet_la_SOURCES = \
	net/ctrl.c net/hdr.c net/hdr.h net/internal.h net/netdev.c net/netdev.h net/null.c \
	net/pair.c net/port.h net/rx.c net/tap.c net/tx.c net/virtio_net.c net/virtio_net.h
net_libnet_la_LIBADD = libvhost/libvhost.la $(EVENT_LIBS)

bin_PROGRAMS += net/vhost-user-net
net_vhost_user_net_SOURCES = net/main.c
net_vhost_user_net_LDADD = net/libnet.la daemons/libdaemons.la $(JSON_LIBS)

TESTS += tests/daemon/cli-net.sh
EXTRA_DIST += tests/daemon/cli-net.sh

if HAVE_CHECK
net_tests = \
	tests/unit/test_tap \
	tests/unit/test_net_burst \
	tests/unit/test_net_cost \
	tests/unit/test_net_hdr \
	tests/unit/test_net_hostile \
	tests/unit/test_virtio_net \
	tests/unit/test_virtio_net_modes
check_PROGRAMS += $(net_tests)
TESTS += $(net_tests)

net_fixture = tests/unit/nic.c tests/unit/nic.h tests/tap.h
net_test_ldadd = net/libnet.la frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_net_hdr_SOURCES = tests/unit/test_net_hdr.c tests/tap.h
tests_unit_test_net_hdr_LDADD = $(net_test_ldadd)

tests_unit_test_net_hostile_SOURCES = tests/unit/test_net_hostile.c $(net_fixture)
tests_unit_test_net_hostile_LDADD = $(net_test_ldadd)

tests_unit_test_virtio_net_SOURCES = tests/unit/test_virtio_net.c $(net_fixture)
tests_unit_test_virtio_net_LDADD = $(net_test_ldadd)

tests_unit_test_virtio_net_modes_SOURCES = tests/unit/test_virtio_net_modes.c $(net_fixture)
tests_unit_test_virtio_net_modes_LDADD = $(net_test_ldadd)

# Device and driver on one thread.
net_steps = tests/unit/steps.c tests/unit/steps.h
net_steps_ldadd = tests/libstepped.la $(net_test_ldadd)

check_PROGRAMS += tests/unit/net_steps
tests_unit_net_steps_SOURCES = tests/unit/net_steps.c $(net_steps)
tests_unit_net_steps_LDADD = $(net_steps_ldadd)

TESTS += tests/unit/net-instructions.sh
EXTRA_DIST += tests/unit/net-instructions.sh tests/unit/lib-instructions.sh

tests_unit_test_net_burst_SOURCES = tests/unit/test_net_burst.c $(net_steps) $(net_fixture)
tests_unit_test_net_burst_LDADD = $(net_steps_ldadd)
tests_unit_test_net_cost_SOURCES = tests/unit/test_net_cost.c $(net_steps) $(net_fixture)
tests_unit_test_net_cost_LDADD = $(net_steps_ldadd)

tests_unit_test_tap_SOURCES = tests/unit/test_tap.c tests/tap.h
tests_unit_test_tap_LDADD = net/libnet.la $(CHECK_LIBS)
endif
