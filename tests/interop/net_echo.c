/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network device which checks that what it sends comes back.
 *
 * usage: net_echo SOCKET PACKETS
 *
 * The driver at the other end forwards each packet to where it came from.  This device puts
 * numbered packets of random length into the receive queue, at most WINDOW of them at a time, and
 * expects the same packets in the same order in the transmit queue.  After PACKETS of them it says
 * so, with what was negotiated, and ends; a wrong packet ends it with status 1.
 */
#include <event2/event.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libvhost.h"
#include "util.h"

#define WINDOW		64		/* less than the smallest ring */
#define FRAME_MIN	60
#define FRAME_MAX	1514

struct net {
	struct vhost_dev *dev;
	struct vhost_worker *worker;
	uint64_t packets, sent, received;
	int status;
};

/* What packet seq looks like: addresses, a type of nobody's, its number, and a pattern. */
static size_t net_frame(uint64_t seq, uint8_t frame[static FRAME_MAX])
{
	static const uint8_t header[14] = { 0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x88, 0xb5 };
	size_t i, len = FRAME_MIN + seq * 7919 % (FRAME_MAX - FRAME_MIN + 1);

	memcpy(frame, header, sizeof(header));
	memcpy(frame + sizeof(header), &seq, sizeof(seq));
	for (i = sizeof(header) + sizeof(seq); i < len; i++)
		frame[i] = (uint8_t)(seq + i * 31);
	return len;
}

static void net_end(struct net *n, int status)
{
	n->status = status;
	vhost_worker_stop(n->worker);
}

/* Put a packet into a buffer of the driver's. */
static void net_send(struct net *n, struct vhost_req *req)
{
	/* Without receive offloads all is zero but how many buffers the packet takes. */
	const struct virtio_net_hdr_mrg_rxbuf hdr = { .num_buffers = 1 };
	uint8_t frame[FRAME_MAX];
	size_t len = net_frame(n->sent, frame), done;

	done = vhost_req_write(req, 0, &hdr, sizeof(hdr));
	done += vhost_req_write(req, sizeof(hdr), frame, len);
	vhost_req_push(req, done);
	if (done != sizeof(hdr) + len) {
		fprintf(stderr, "a buffer of %zu bytes is too small\n", req->in_len);
		net_end(n, 1);
	}
	n->sent++;
}

static void net_fill(struct vhost_queue *q)
{
	struct net *n = vhost_queue_opaque(q);
	struct vhost_req *req;

	while (n->sent - n->received < WINDOW && n->sent < n->packets &&
	       vhost_queue_pop(q, &req, 1))
		net_send(n, req);
}

static void net_check(struct net *n, struct vhost_req *req)
{
	uint8_t wanted[FRAME_MAX], found[FRAME_MAX + 1];
	size_t len = net_frame(n->received, wanted);
	size_t got = vhost_req_read(req, sizeof(struct virtio_net_hdr_mrg_rxbuf), found,
				    sizeof(found));

	vhost_req_push(req, 0);
	if (got != len || memcmp(wanted, found, len)) {
		fprintf(stderr, "packet %" PRIu64 " of %zu bytes came back as %zu others\n",
			n->received, len, got);
		net_end(n, 1);
		return;
	}
	if (++n->received == n->packets)
		net_end(n, 0);
}

static void net_kick(struct vhost_queue *q)
{
	struct net *n = vhost_queue_opaque(q);
	struct vhost_req *req;

	if (!vhost_queue_enabled(q))
		return;
	if (vhost_queue_index(q) % 2) {
		while (n->status < 0 && vhost_queue_pop(q, &req, 1))
			net_check(n, req);
		q = vhost_dev_queue(n->dev, 0);
	}
	net_fill(q);
}

static void net_log(void *arg, enum vhost_log_level level, const char *line)
{
	(void)arg, (void)level;
	fprintf(stderr, "%s\n", line);
}

static int net_run(struct net *n, const char *path)
{
	static const struct vhost_dev_ops ops = { .kick = net_kick };
	const struct vhost_dev_params params = {
		.name = "net-echo",
		.queues = 2,
		.queue_size_max = 32768,
		.features = BIT(VIRTIO_NET_F_MRG_RXBUF),
		.flags = VHOST_DEV_IN_ORDER,
	};
	int fd = vhost_listen_unix(path, 0600), ret = fd;

	if (fd < 0)
		return ret;
	ret = vhost_worker_new(&n->worker, NULL);
	if (ret)
		return ret;
	ret = vhost_dev_new(&n->dev, &ops, &params, n);
	if (!ret)
		ret = vhost_dev_listen(n->dev, n->worker, fd);
	if (!ret)
		ret = vhost_worker_run(n->worker);
	return ret;
}

int main(int argc, char **argv)
{
	static struct net n = { .status = -1 };
	int ret;

	if (argc != 3)
		return 2;
	n.packets = strtoull(argv[2], NULL, 0);
	vhost_set_log(net_log, NULL);
	ret = net_run(&n, argv[1]);
	if (ret) {
		fprintf(stderr, "%s\n", strerror(-ret));
		return 2;
	}
	if (!n.status) {
		uint64_t f = vhost_dev_features(n.dev);

		printf("%" PRIu64 " packets%s%s%s\n", n.received,
		       f & BIT(VIRTIO_F_RING_PACKED) ? " packed" : " split",
		       f & BIT(VIRTIO_F_IN_ORDER) ? " in-order" : "",
		       f & BIT(VIRTIO_NET_F_MRG_RXBUF) ? " mergeable" : "");
	}
	return n.status;
}
