/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network device's way to the world: where packets go to and come from.
 *
 *   struct port       an opened interface with one or more pairs of queues.
 *   struct port_ops   one kind of it: tap, pair (a socket, for tests), null (for benchmarks).
 *
 * A packet begins with a virtio-net header (VIRTIO 5.1.6), of the length and with the offloads
 * which port_set_features() has agreed on.  Nothing blocks: where a packet has to wait, the
 * pair's fd tells when to try again.  One pair is used by one worker at a time, the rest by
 * the control worker.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define PORT_PAIRS_MAX	127		/* so that there is room for the control queue */
#define PORT_HDR_MAX	12u		/* bytes of a header; without MRG_RXBUF of legacy drivers 10 */
#define PORT_PACKET_MAX	65535u		/* bytes of a packet behind its header, all segments */

struct port;

/* What to open.  Which fields count depends on the kind. */
struct port_params {
	const char *ifname;		/* tap: attach to it or create it; NULL: fds */
	const int *fds;			/* tap: opened by somebody else; pair: sockets; now the port's */
	unsigned int pairs;		/* number of queue pairs; of fds, too */
	unsigned int mtu;		/* tap: to be set, bytes; 0: leave it */
	const char *bridge;		/* tap: to be added to it; NULL: none */
	bool up;			/* tap: set it up */
};

struct port_ops {
	const char *name;

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
	 * packet is lost, except -ENODEV: the interface has gone.
	 */
	ssize_t (*rx)(struct port *port, unsigned int pair, const struct iovec *iov,
		      unsigned int cnt);
	int (*tx)(struct port *port, unsigned int pair, const struct iovec *iov,
		  unsigned int cnt);
	/* Readable when rx, writable when tx has a chance; -1: there always is. */
	int (*fd)(const struct port *port, unsigned int pair);

	/* The driver uses so many pairs: packets must come to these only. */
	int (*set_pairs)(struct port *port, unsigned int pairs);
	int (*set_mtu)(struct port *port, unsigned int mtu);
	/* The interface has gone; try to open it again. */
	int (*reopen)(struct port *port);
};

/* Each kind has a struct which begins with this. */
struct port {
	const struct port_ops *ops;
	unsigned int pairs;
};

extern const struct port_ops port_tap, port_pair, port_null;

#endif /* NET_PORT_H */
