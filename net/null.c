/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port to nowhere, for benchmarks: what is sent goes nowhere, and packets of one size come as
 * fast as they are taken.  They are copied, as from any real source.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"
#include "util.h"

/* Buffers which are on their way from the driver's cache while others are filled. */
#define NULL_AHEAD	12u

struct null {
	struct port port;
	size_t hdr_len;			/* bytes */
	size_t len;			/* of a packet with its header; 0: none comes */
	size_t packet_size;		/* without it */
	uint8_t packet[PORT_HDR_MAX + PORT_PACKET_MAX];	/* its header is zero */
};

static struct null *null_of(const struct port *port)
{
	return container_of(port, struct null, port);
}

static void null_set_hdr(struct null *null, size_t hdr_len)
{
	/* Broadcast, from an address of nobody's, an Ethernet type for experiments. */
	static const uint8_t frame[14] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 1,
					   0x88, 0xb5 };

	null->hdr_len = hdr_len;
	null->len = null->packet_size ? hdr_len + null->packet_size : 0;
	memset(null->packet, 0, sizeof(null->packet));
	memcpy(null->packet + hdr_len, frame, sizeof(frame));
}

static int null_open(struct port **port, const struct port_params *params, char *why,
		     size_t why_size)
{
	struct null *null = calloc(1, sizeof(*null));

	(void)why, (void)why_size;
	if (!null)
		return -ENOMEM;
	null->port = (struct port){ .ops = &port_null, .pairs = params->pairs };
	null->packet_size = MIN(params->packet_size, PORT_PACKET_MAX);
	null_set_hdr(null, PORT_HDR_MAX);
	*port = &null->port;
	return 0;
}

static void null_close(struct port *port)
{
	free(null_of(port));
}

static uint64_t null_features(const struct port *port)
{
	(void)port;
	return PORT_OFFLOADS;
}

static int null_set_features(struct port *port, uint64_t features)
{
	struct null *null = null_of(port);

	/* Offloads can change while packets come. */
	if (hdr_len(features) != null->hdr_len)
		null_set_hdr(null, hdr_len(features));
	return 0;
}

static ssize_t null_rx(struct port *port, unsigned int pair, const struct iovec *iov,
		       unsigned int cnt)
{
	const struct null *null = null_of(port);
	size_t done = 0, n;

	(void)pair;
	for (; cnt && done < null->len; cnt--, iov++) {
		n = MIN(iov->iov_len, null->len - done);
		memcpy(iov->iov_base, null->packet + done, n);
		done += n;
	}
	return done ? (ssize_t)done : -EAGAIN;
}

static int null_rx_burst(struct port *port, unsigned int pair, struct port_burst *burst)
{
	const struct null *null = null_of(port);
	const size_t len = null->len;
	size_t room = len;
	unsigned int i;

	(void)pair;
	if (!len) {
		burst->n = 0;
		return -EAGAIN;
	}
	for (i = 0; i < MIN(burst->n, NULL_AHEAD); i++)
		prefetch_to_write(burst->bufs[i].iov_base);
	for (i = 0; i < burst->n && room == len; i++) {
		if (i + NULL_AHEAD < burst->n)
			prefetch_to_write(burst->bufs[i + NULL_AHEAD].iov_base);
		room = MIN(len, burst->bufs[i].iov_len);
		memcpy(burst->bufs[i].iov_base, null->packet, room);
		burst->lens[i] = len;
	}
	if (unlikely(room < len))
		memcpy(burst->spill.iov_base, null->packet + room, len - room);
	burst->n = i;
	return 0;
}

static int null_tx(struct port *port, unsigned int pair, const struct iovec *iov, unsigned int cnt)
{
	(void)port, (void)pair, (void)iov, (void)cnt;
	return 0;
}

static int null_fd(const struct port *port, unsigned int pair)
{
	(void)port, (void)pair;
	return -1;
}

static void null_set_pair(struct port *port, unsigned int pair, bool on)
{
	(void)port, (void)pair, (void)on;
}

static int null_set_mtu(struct port *port, unsigned int mtu)
{
	(void)port, (void)mtu;
	return 0;
}

static int null_reopen(struct port *port)
{
	(void)port;
	return -EOPNOTSUPP;
}

static int null_link_fd(const struct port *port)
{
	(void)port;
	return -1;
}

static enum port_link null_link(struct port *port)
{
	(void)port;
	return PORT_UP;
}

const struct port_ops port_null = {
	.name = "null",
	.open = null_open,
	.close = null_close,
	.features = null_features,
	.set_features = null_set_features,
	.rx = null_rx,
	.tx = null_tx,
	.rx_burst = null_rx_burst,
	.fd = null_fd,
	.set_pair = null_set_pair,
	.set_mtu = null_set_mtu,
	.reopen = null_reopen,
	.link_fd = null_link_fd,
	.link = null_link,
};
