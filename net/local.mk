# SPDX-License-Identifier: BSD-3-Clause
# The network device, as a convenience library for its tests too, and its daemon.
noinst_LTLIBRARIES += net/libnet.la
net_libnet_la_SOURCES = \
	net/ctrl.c net/hdr.c net/hdr.h net/internal.h net/netdev.c net/netdev.h net/null.c \
	net/pair.c net/port.h net/rx.c net/tap.c net/tx.c net/virtio_net.c net/virtio_net.h
net_libnet_la_LIBADD = libvhost/libvhost.la $(EVENT_LIBS)

bin_PROGRAMS += net/vhost-user-net
net_vhost_user_net_SOURCES = net/main.c
net_vhost_user_net_LDADD = net/libnet.la daemons/libdaemons.la
