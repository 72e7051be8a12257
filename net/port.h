/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network device's way to the world: where packets go to and come from.
 *
 *   struct port       an opened interface with one or more pairs of queues.
 *   struct port_ops   one kind of it: tap, pair (a socket, for tests), null (for benchmarks).
 *   enum port_link    whether packets go anywhere from there.
 *
 * A packet begins with a virtio-net header (VIRTIO 5.1.6), of the length and with the offloads
 * which set_features has agreed on.  Nothing blocks: where a packet has to wait, the pair's fd
 * tells when to try again.  rx of a pair is called by one worker at a time, tx by any; what is
 * not about a pair is the control worker's.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "hdr.h"
#include "util.h"

#define PORT_PAIRS_MAX	127		/* with the control queue all that vhost-user can number */
#define PORT_HDR_MAX	12u		/* bytes of a header; without MRG_RXBUF of legacy drivers 10 */
/* Bytes of a packet behind its header: 64 KiB of IP, an Ethernet header with a VLAN tag. */
#define PORT_PACKET_MAX	(65535u + 14 + 4)

/* The offloads which the receiver of packets must be able to do, and those of the sender. */
#define PORT_GUEST_OFFLOADS \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) | \
	 BIT(VIRTIO_NET_F_GUEST_UFO) | BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6))
#define PORT_HOST_OFFLOADS \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) | \
	 BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_HOST_USO))
#define PORT_OFFLOADS	(PORT_GUEST_OFFLOADS | PORT_HOST_OFFLOADS)

struct port;

enum port_link {
	PORT_GONE,			/* there is no interface any more */
	PORT_DOWN,			/* somebody has set it down */
	PORT_UP,			/* or nobody can tell */
};

/* What to open.  Which fields count depends on the kind. */
struct port_params {
	const char *ifname;		/* tap: attach to it or create it; NULL: fds.  pair: name of
					 * the abstract socket to connect to; NULL: fds */
	const int *fds;			/* tap, pair: opened by somebody else; from open's success on
					 * the port's */
	unsigned int pairs;		/* number of queue pairs; of fds, too */
	unsigned int mtu;		/* tap: to be set, bytes; 0: leave it */
	const char *bridge;		/* tap: to be added to it; NULL: none */
	bool up;			/* tap: set it up */
	unsigned int packet_size;	/* null: bytes of each packet received; 0: none is */
};

/* Room for some packets, header included. */
struct port_burst {
	const struct iovec *bufs;	/* [n], one for each packet, longer than a header */
	size_t *lens;			/* [n], the result: bytes of each packet */
	unsigned int n;			/* and how many came */
	struct iovec spill;		/* where the only packet longer than its buffer goes on */
};

struct port_ops {
	const char *name;
	/* Up to so many bytes, header included, tx of a packet in one piece is worth a copy. */
	size_t tx_whole;

	/*
	 * -errno, and a line which says what is wrong and with which option in why.
	 */
	int (*open)(struct port **port, const struct port_params *params, char *why,
		    size_t why_size);
	void (*close)(struct port *port);

	/* The VIRTIO_NET_F_* offload bits which it can do, of both directions. */
	uint64_t (*features)(const struct port *port);
	/* The driver's choice: length of the header, offloads of received packets.  No pair is used. */
	int (*set_features)(struct port *port, uint64_t features);

	/*
	 * One packet.  rx: bytes including the header, at most what iov holds (longer
	 * packets are cut); -EAGAIN: none is there.  tx: 0; -EAGAIN: no room.  Other errors: that
	 * packet is lost, since the interface has gone (-ENODEV), is down (-ENETDOWN), or does not
	 * take it.
	 */
	ssize_t (*rx)(struct port *port, unsigned int pair, const struct iovec *iov,
		      unsigned int cnt);
	int (*tx)(struct port *port, unsigned int pair, const struct iovec *iov,
		  unsigned int cnt);
	/*
	 * Several packets, until there are n, or one which does not fit in its buffer.  0, or what
	 * rx would say about the next one.  NULL: to call rx for each is as good.
	 */
	int (*rx_burst)(struct port *port, unsigned int pair, struct port_burst *burst);
	/* Readable when rx, writable when tx has a chance; -1: there always is. */
	int (*fd)(const struct port *port, unsigned int pair);

	/* Whether the driver uses this pair: packets must come to such pairs only.  rx's worker. */
	void (*set_pair)(struct port *port, unsigned int pair, bool on);
	/* The driver takes packets of this size. */
	int (*set_mtu)(struct port *port, unsigned int mtu);
	/*
	 * The interface has gone; try to open it again.  Its fds keep their numbers, so that other
	 * workers may use them meanwhile.  -EOPNOTSUPP: it can never come back.
	 */
	int (*reopen)(struct port *port);

	/*
	 * Readable when link() may have changed, until link() is called; the same one for the port's
	 * life.  -1: nobody tells.
	 */
	int (*link_fd)(const struct port *port);
	enum port_link (*link)(struct port *port);
};

/* Each kind has a struct which begins with this. */
struct port {
	const struct port_ops *ops;
	unsigned int pairs;
};

extern const struct port_ops port_tap, port_pair, port_null;

/* What tap.c and netdev.c ask of the kernel while packets flow: seccomp has to know; then 0. */
extern const unsigned long port_ioctls[];

#endif /* NET_PORT_H */
