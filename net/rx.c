/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receiving: packets go from the port straight into the driver's buffers.
 *
 * How long a packet is is known only when it has been read.  So the port is given buffers for
 * one of the usual size, and behind them a spill area where the rest of a longer one goes; that
 * rest is copied, and for the packets which follow the buffers are for the longest that there is.
 * With VIRTIO_NET_F_MRG_RXBUF a packet takes as many requests as it needs, otherwise one.
 *
 * Where no long ones are expected and each request is one buffer for a usual packet, they come in
 * bursts: the port fills several, of which the last may need the spill, and all are pushed
 * together.  To do one step for all and then the next is what counts: loads and stores of one step
 * then do not wait for those of another one, which are on their way to the driver's cache.
 *
 * When no packet is there the requests go back to the ring, and the port's fd is watched.  When
 * the driver has no buffers, packets stay in the port, whose fd is not watched, until
 * the next kick.  A packet of which the driver's buffers hold only the beginning stays
 * in them until there are more; these requests are held.
 */
#include <endian.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Packets in a row; other queues of the worker then have their turn. */
#define RX_BUDGET	256u

/* Those of a burst if each is a call: a driver may wait for them while others are fetched. */
#define RX_EACH		8u

/* Bytes of a buffer into which packets of an Ethernet fit without another one. */
#define RX_USUAL	(PORT_HDR_MAX + ETH_FRAME_LEN)

/* Bytes of buffers for a packet of the usual size, and for the longest. */
#define RX_SMALL	2048u
#define RX_LARGE	(PORT_HDR_MAX + PORT_PACKET_MAX)

/* Packets of the usual size after which no long ones are expected any more. */
#define RX_LARGE_FOR	64u

/* Looks of a polling worker for one at the port. */
#define RX_POLL_EVERY	8u

/* What became of one attempt to receive. */
enum rx_result { RX_GOT, RX_NO_PACKET, RX_NO_BUFFER, RX_GONE };

static void rx_watch(struct net_rx *rx, bool on)
{
	if (on == rx->watching || !rx->nq.ev)
		return;
	if (on)
		event_add(rx->nq.ev, NULL);
	else
		event_del(rx->nq.ev);
	rx->watching = on;
}

/*
 * Requests
 */

static __attribute__((noinline)) bool rx_pop(struct net_rx *rx, size_t want)
{
	unsigned int i, n, end, batch;

	while (rx->room < want && rx->count < RX_REQS_MAX) {
		if (rx->first + rx->count + RX_BATCH > ARRAY_SIZE(rx->reqs)) {
			memmove(rx->reqs, rx->reqs + rx->first, rx->count * sizeof(rx->reqs[0]));
			rx->first = 0;
		}
		end = rx->first + rx->count;
		batch = MIN(rx->batch, RX_REQS_MAX - rx->count);
		n = vhost_queue_pop(rx->nq.queue, rx->reqs + end, batch);
		for (i = 0; i < n; i++)
			rx->room += rx->reqs[end + i]->in_len;
		rx->count += n;
		if (n < batch)
			break;
		rx->batch = MIN(2 * rx->batch, RX_BATCH);
	}
	return rx->room >= want;
}

/* Pop until there is so much room.  Whether there is. */
static bool rx_want(struct net_rx *rx, size_t want)
{
	return likely(rx->room >= want) || rx_pop(rx, want);
}

static void rx_give_back(struct net_rx *rx)
{
	if (rx->count)
		vhost_queue_unpop(rx->nq.queue, rx->count);
	rx->first = rx->count = 0;
	rx->room = 0;
	rx->batch = 1;
}

/* Share len bytes out to the first requests, in order: how many have some, one at least. */
static unsigned int rx_share(struct net_rx *rx, size_t len)
{
	unsigned int n = 0;

	do {
		rx->lens[n] = MIN(len, rx->reqs[rx->first + n]->in_len);
		len -= rx->lens[n++];
	} while (len);
	return n;
}

/* The first n requests, which have room bytes, go to the driver with what lens says. */
static void rx_push(struct net_rx *rx, unsigned int n, size_t room)
{
	vhost_queue_push(rx->nq.queue, rx->reqs + rx->first, rx->lens, n);
	rx->first += n;
	rx->count -= n;
	rx->room -= room;
}

/*
 * A packet
 */

/* Buffers of about want bytes as an array for the port, with the spill behind them. */
static unsigned int rx_gather(struct net_rx *rx, size_t want)
{
	unsigned int reqs = rx->mergeable ? rx->count : 1, i, j, n = 0;

	rx->covered = 0;
	for (i = 0; i < reqs && rx->covered < want && n < RX_IOVS - 1; i++) {
		const struct vhost_req *req = rx->reqs[rx->first + i];

		for (j = 0; j < req->in_cnt && n < RX_IOVS - 1; j++) {
			n = net_iov_add(rx->iov, n, &req->in[j]);
			rx->covered += req->in[j].iov_len;
		}
	}
	rx->iov[n++] = (struct iovec){ rx->spill, RX_LARGE };
	return n;
}

/* Copy to the requests what did not go there at once. */
static void rx_copy_spill(struct net_rx *rx)
{
	size_t off = rx->covered, left = rx->pending - rx->covered, n;
	const uint8_t *src = rx->spill;
	unsigned int i;

	for (i = 0; left; i++) {
		const struct vhost_req *req = rx->reqs[rx->first + i];

		if (off >= req->in_len) {
			off -= req->in_len;
			continue;
		}
		n = vhost_req_write(req, off, src, left);
		src += n;
		left -= n;
		off = 0;
	}
}

/* Where in the header the number of buffers is; that without VIRTIO_NET_F_MRG_RXBUF ends there. */
#define RX_NUM	offsetof(struct virtio_net_hdr_v1, num_buffers)

/* The header is all in one piece, wherever that begins. */
static void rx_put_buffers(const struct iovec *hdr, unsigned int n)
{
	uint16_t num = htole16((uint16_t)n);

	memcpy((uint8_t *)hdr->iov_base + RX_NUM, &num, sizeof(num));
}

/* Say in the packet's header how many requests it takes. */
static void rx_set_buffers(struct net_rx *rx, unsigned int n)
{
	struct vhost_req *req = rx->reqs[rx->first];
	uint16_t num = htole16((uint16_t)n);

	if (rx->nq.hdr_len <= RX_NUM)
		return;
	if (likely(req->in[0].iov_len >= RX_NUM + sizeof(num)))
		rx_put_buffers(&req->in[0], n);
	else
		vhost_req_write(req, RX_NUM, &num, sizeof(num));
}

/* The packet is complete, and there is room for it: to the driver with it. */
static void rx_deliver(struct net_rx *rx)
{
	unsigned int n = rx_share(rx, rx->pending);
	/* All but the last one are full. */
	size_t room = rx->pending - rx->lens[n - 1] + rx->reqs[rx->first + n - 1]->in_len;

	if (unlikely(rx->pending > rx->covered))
		rx_copy_spill(rx);
	rx_set_buffers(rx, n);
	rx_push(rx, n, room);
	rx->nq.stats.packets++;
	rx->nq.stats.bytes += rx->pending - rx->nq.hdr_len;
	rx->pending = 0;
}

/* Whether all that the driver's ring can hold is here already. */
static bool rx_is_full(const struct net_rx *rx)
{
	unsigned int i, size = vhost_queue_size(rx->nq.queue), descs = 0;

	for (i = 0; i < rx->count; i++)
		descs += rx->reqs[rx->first + i]->in_cnt + rx->reqs[rx->first + i]->out_cnt;
	return rx->count >= MIN(RX_REQS_MAX, size) || descs >= size;
}

/* Make room for the packet which is there, and deliver it. */
static enum rx_result rx_finish(struct net_rx *rx)
{
	bool fits = rx->mergeable ? rx_want(rx, rx->pending) :
				    rx->reqs[rx->first]->in_len >= rx->pending;

	if (rx->pending > rx->covered)
		rx->large = RX_LARGE_FOR;
	else if (rx->large && rx->pending <= RX_SMALL)
		rx->large--;
	if (likely(fits)) {
		rx_deliver(rx);
	} else if (!rx->mergeable || rx_is_full(rx)) {
		rx->nq.stats.too_long++;
		rx->pending = 0;
	}
	return rx->pending ? RX_NO_BUFFER : RX_GOT;
}

/* The port has none to give. */
static enum rx_result rx_failed(struct net_rx *rx, int err)
{
	if (err == -EAGAIN)
		return RX_NO_PACKET;
	if (err == -ENODEV)
		return RX_GONE;
	rx->nq.stats.refused++;
	return RX_GOT;
}

/* A packet of so many bytes is in the first buffers, and perhaps in the spill. */
static enum rx_result rx_came(struct net_rx *rx, size_t len)
{
	if (len < rx->nq.hdr_len) {
		rx->nq.stats.refused++;
		return RX_GOT;
	}
	rx->pending = len;
	return rx_finish(rx);
}

/* One packet, into buffers of whatever shape. */
static enum rx_result rx_packet(struct net_rx *rx, size_t want)
{
	unsigned int cnt;
	ssize_t n;

	if (rx->reqs[rx->first]->in_len < rx->nq.hdr_len) {
		rx->lens[0] = 0;
		rx_push(rx, 1, rx->reqs[rx->first]->in_len);
		rx->nq.stats.malformed++;
		return RX_GOT;
	}
	/* A whole chain of the driver's in any case. */
	cnt = rx_gather(rx, rx->mergeable ? want : RX_LARGE);
	n = rx->nq.port->ops->rx(rx->nq.port, rx->nq.pair, rx->iov, cnt);
	return n < 0 ? rx_failed(rx, (int)n) : rx_came(rx, (size_t)n);
}

/*
 * A burst: packets in one buffer each
 */

/* How many of the first requests are one buffer for a packet of the usual size; they are in iov. */
static unsigned int rx_usual(struct net_rx *rx)
{
	unsigned int i, n = rx->nq.port->ops->rx_burst ? RX_BATCH : RX_EACH;

	n = MIN(MIN(rx->count, rx->left), n);
	for (i = 0; i < n; i++) {
		const struct vhost_req *req = rx->reqs[rx->first + i];

		if (req->in_cnt != 1 || req->in_len < RX_USUAL)
			break;
		rx->iov[i] = req->in[0];
	}
	return i;
}

/* Whether a packet of so many bytes is as it should be and in this buffer as a whole. */
static bool rx_fits(const struct net_rx *rx, const struct iovec *buf, size_t len)
{
	return len >= rx->nq.hdr_len && len <= buf->iov_len;
}

/* rx_burst of ports which have none; a packet which is none ends it, too. */
static int rx_read_each(struct net_rx *rx, struct port_burst *burst)
{
	struct iovec iov[2] = { [1] = { rx->spill, RX_LARGE } };
	unsigned int i, n = burst->n;
	ssize_t len = 0;

	for (i = 0; i < n; i++) {
		iov[0] = burst->bufs[i];
		len = rx->nq.port->ops->rx(rx->nq.port, rx->nq.pair, iov, 2);
		if (len < 0)
			break;
		burst->lens[i] = (size_t)len;
		if (!rx_fits(rx, &iov[0], (size_t)len)) {
			i++;
			break;
		}
	}
	burst->n = i;
	return len < 0 ? (int)len : 0;
}

/* The first n packets, each with the header's num_buffers, to the driver. */
static void rx_deliver_burst(struct net_rx *rx, unsigned int n)
{
	const bool has_num = rx->nq.hdr_len > RX_NUM;
	size_t bytes = 0, room = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (has_num)
			rx_put_buffers(&rx->iov[i], 1);
		bytes += rx->lens[i] - rx->nq.hdr_len;
		room += rx->iov[i].iov_len;
	}
	rx_push(rx, n, room);
	rx->nq.stats.packets += n;
	rx->nq.stats.bytes += bytes;
}

/* Up to n packets into as many buffers, which are in iov. */
static enum rx_result rx_burst(struct net_rx *rx, unsigned int n)
{
	const struct port_ops *ops = rx->nq.port->ops;
	struct port_burst burst = {
		.bufs = rx->iov, .lens = rx->lens, .n = n, .spill = { rx->spill, RX_LARGE },
	};
	int err = ops->rx_burst ? ops->rx_burst(rx->nq.port, rx->nq.pair, &burst) :
				  rx_read_each(rx, &burst);
	unsigned int good = burst.n;

	rx->left -= MAX(burst.n, 1);
	/* What needs another look came last. */
	if (good && unlikely(!rx_fits(rx, &rx->iov[good - 1], rx->lens[good - 1])))
		good--;
	if (good)
		rx_deliver_burst(rx, good);
	if (unlikely(good < burst.n)) {
		rx->covered = rx->iov[good].iov_len;
		return rx_came(rx, rx->lens[good]);
	}
	return err ? rx_failed(rx, err) : RX_GOT;
}

static enum rx_result rx_some(struct net_rx *rx)
{
	bool large = rx->large && rx->mergeable;
	size_t want = large ? RX_LARGE : RX_SMALL;
	unsigned int n;

	if (rx->pending)
		return rx_finish(rx);
	rx_want(rx, rx->mergeable ? want : 1);
	if (!rx->count)
		return RX_NO_BUFFER;
	n = large ? 0 : rx_usual(rx);
	if (n)
		return rx_burst(rx, n);
	rx->left--;
	return rx_packet(rx, want);
}

/*
 * Turns
 */

/* Tell the port whether packets may come. */
static bool rx_switch(struct net_rx *rx)
{
	struct virtio_net *net = rx->nq.net;
	unsigned int opened = atomic_load(&net->opened);
	bool on = rx->nq.live && vhost_queue_enabled(rx->nq.queue) && !atomic_load(&net->lost) &&
		  !atomic_load(&net->pulled) && rx->nq.pair < atomic_load(&net->pairs_on);

	if (on != rx->on || opened != rx->opened)
		rx->nq.port->ops->set_pair(rx->nq.port, rx->nq.pair, on);
	/* The fd has the old number, but it is another one. */
	if (opened != rx->opened)
		rx_watch(rx, false);
	rx->on = on;
	rx->opened = opened;
	return on;
}

/* Nothing is to be received: a packet which was on its way is lost. */
static void rx_rest(struct net_rx *rx)
{
	if (rx->pending && !virtio_net_has_link(rx->nq.net))
		rx->nq.stats.no_link++;
	else if (rx->pending)
		rx->nq.stats.discarded++;
	rx->pending = 0;
	rx_give_back(rx);
	rx_watch(rx, false);
}

/* There is work left for the next round. */
static void rx_later(struct net_rx *rx)
{
	rx_watch(rx, true);
	if (!rx->nq.ev)
		vhost_queue_again(rx->nq.queue);
}

void rx_run(struct net_rx *rx)
{
	enum rx_result result = RX_GOT;

	if (!rx_switch(rx)) {
		if (rx->nq.live)
			rx_rest(rx);
		return;
	}
	for (rx->left = RX_BUDGET; rx->left && result == RX_GOT;)
		result = rx_some(rx);
	switch (result) {
	case RX_GOT:
		rx_later(rx);
		break;
	case RX_NO_PACKET:
		rx_give_back(rx);
		rx_watch(rx, true);
		break;
	case RX_NO_BUFFER:
		/* The first time it may be that only the queue's share of the round is used up. */
		rx_watch(rx, !rx->starved);
		break;
	case RX_GONE:
		net_lost(rx->nq.net);
		rx_switch(rx);
		rx_rest(rx);
		break;
	}
	rx->starved = result == RX_NO_BUFFER;
}

static void rx_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	rx_run(arg);
}

/*
 * The worker polls: look at the port, too.  That is a system call, so most looks are left to the
 * rings, which cost next to nothing.
 */
static bool rx_poll(struct vhost_poller *poller)
{
	struct net_rx *rx = container_of(poller, struct net_rx, poller);
	uint64_t packets = rx->nq.stats.packets;

	if (!rx->watching || ++rx->polls % RX_POLL_EVERY)
		return false;
	rx_run(rx);
	return rx->nq.stats.packets != packets;
}

/*
 * Life
 */

int rx_start(struct net_rx *rx)
{
	int fd = rx->nq.port->ops->fd(rx->nq.port, rx->nq.pair);
	struct event_base *base = vhost_worker_base(vhost_queue_worker(rx->nq.queue));

	rx->mergeable = rx->nq.features & BIT(VIRTIO_NET_F_MRG_RXBUF);
	rx->first = rx->count = rx->large = 0;
	rx->pending = rx->room = 0;
	rx->batch = 1;
	rx->watching = rx->starved = false;
	rx->poller.poll = rx_poll;
	rx->spill = malloc(RX_LARGE);
	if (fd >= 0)
		rx->nq.ev = event_new(base, fd, EV_READ | EV_PERSIST, rx_event, rx);
	if (rx->spill && (rx->nq.ev || fd < 0)) {
		rx->nq.live = true;
		if (rx->nq.ev)
			vhost_worker_add_poller(vhost_queue_worker(rx->nq.queue), &rx->poller);
		return 0;
	}
	free(rx->spill);
	return -ENOMEM;
}

void rx_stop(struct net_rx *rx)
{
	if (!rx->nq.live)
		return;
	rx_rest(rx);
	rx->nq.live = false;
	rx_switch(rx);
	if (rx->nq.ev) {
		vhost_worker_del_poller(vhost_queue_worker(rx->nq.queue), &rx->poller);
		event_free(rx->nq.ev);
	}
	rx->nq.ev = NULL;
	free(rx->spill);
}
