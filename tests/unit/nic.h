/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtio-net device on a port of sockets, the other ends of these, and a front-end with
 * driver on it.
 *
 * The wire is what the port is to the device: packets with their header.  The port's calls are
 * counted, and it can be made to come back after it has gone.
 */
#ifndef TESTS_UNIT_NIC_H
#define TESTS_UNIT_NIC_H

#include <stdatomic.h>

#include "frontend/frontend.h"
#include "net/virtio_net.h"

#define NIC_PAIRS_MAX	3u
#define NIC_RINGS_MAX	(2 * NIC_PAIRS_MAX + 1)
#define NIC_HDR		12u		/* bytes of a header, unless the driver is a legacy one */
#define NIC_PACKET_MAX	(PORT_PACKET_MAX + 100)

/* What a device and its driver are to be.  All 0 is good. */
struct nic_params {
	unsigned int pairs;		/* 0: 1 */
	unsigned int workers;		/* of the queues; 0: the control worker serves them */
	uint64_t features;		/* device type, packed, in-order */
	unsigned int ring_size;		/* 0: 256 */
	unsigned int rings;		/* to be started; 0: those of all pairs */
	bool legacy;			/* without VIRTIO_F_VERSION_1 */
	bool down;			/* the link is, at first */
	const uint8_t *mac;
	unsigned int mtu;
};

struct nic {
	struct nic_params params;
	struct vhost_worker *control, *workers[NIC_PAIRS_MAX];
	struct port *port;
	struct virtio_net *net;
	int listener;			/* where the port finds its wires */
	int wires[NIC_PAIRS_MAX];	/* our ends; -1: cut */
	char name[32];			/* abstract address of the listener */
	int socket;			/* the device's, listening; a second fd of it */
	atomic_uint links;		/* calls of params.link */
	atomic_bool link;		/* the last one: there is one */

	/* of a connection */
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring ring[NIC_RINGS_MAX], *rings[NIC_RINGS_MAX];
};

void nic_up(struct nic *nic, const struct nic_params *params);
void nic_down(struct nic *nic);

/* Calls of the port by the device, of all devices. */
extern atomic_uint nic_rx_calls, nic_tx_calls;

/* The wire of a pair goes, and the port finds it again. */
void nic_cut(struct nic *nic);
void nic_mend(struct nic *nic);

/* What the port says about its link from now on, of all devices; PORT_UP at first. */
void nic_set_link(enum port_link link);

void nic_stats(struct nic *nic, unsigned int queue, struct virtio_net_stats *stats);

/* Byte i of the packet with this seed. */
uint8_t nic_byte(uint32_t seed, size_t i);
void nic_fill(uint8_t *packet, size_t len, uint32_t seed);
void nic_check(const uint8_t *packet, size_t len, uint32_t seed);

/* A header of zeroes and a packet onto a wire, which must have room. */
void nic_send(struct nic *nic, unsigned int pair, size_t len, uint32_t seed);
/* The next message on a wire; its length with header. */
size_t nic_recv(struct nic *nic, unsigned int pair, uint8_t *buf, size_t size);
/* The next packet on a wire must be this one, its header this, or of zeroes if NULL. */
void nic_expect(struct nic *nic, unsigned int pair, const void *hdr, size_t len, uint32_t seed);
/* Nothing is on the wire. */
void nic_expect_silence(struct nic *nic, unsigned int pair);

/* A chain of n writable elements of len bytes each in guest memory; the memory is the cookie. */
uint8_t *nic_add_buffer(struct nic *nic, unsigned int ring, size_t len, unsigned int n);
/* A chain of header and packet which is cut after each of the lengths, n of them. */
void nic_add_packet(struct nic *nic, unsigned int ring, const void *hdr, size_t len,
		    uint32_t seed, const size_t *cuts, unsigned int n);
/* The next chain which comes back, after waiting for it; its length. */
uint32_t nic_get(struct nic *nic, unsigned int ring, void **cookie);

/* One packet to and fro on pair 0, all well: the device lives.  No buffers must be left there. */
void nic_expect_alive(struct nic *nic);

#endif /* TESTS_UNIT_NIC_H */
