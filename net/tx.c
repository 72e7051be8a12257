/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending: packets go to the port straight from guest memory.
 *
 * Only the header is copied, since the guest could change it between our judgement and the
 * kernel's reading; and short packets with it, where the port likes one piece better than many.  A
 * port without room gives back-pressure: what was popped goes back to the ring, and when the
 * port's fd becomes writable it goes on.  Where nobody listens (a
 * disabled ring, an interface which is down or has gone) packets are consumed without effect.
 */
#include <errno.h>
#include <event2/event.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Requests taken at a time. */
#define TX_BATCH	32u
/* Those which are given back at a time: a driver may wait for them while others are sent. */
#define TX_PUSH		8u

/* The counter of packets which go nowhere, as all do now; NULL: they do go somewhere. */
static uint64_t *tx_refuses(struct net_tx *tx)
{
	if (!vhost_queue_enabled(tx->nq.queue) ||
	    tx->nq.pair >= atomic_load(&tx->nq.net->pairs_on))
		return &tx->nq.stats.discarded;
	return virtio_net_has_link(tx->nq.net) ? NULL : &tx->nq.stats.no_link;
}

/*
 * The header, copied to hdr at once, of which the guest then cannot change anything any more; the
 * number of its bytes which are there.
 */
static size_t tx_read_hdr(const struct net_tx *tx, const struct vhost_req *req,
			  struct virtio_net_hdr_v1 *hdr)
{
	/* As all drivers of today do it; what is too much is not looked at. */
	if (likely(req->out_cnt && req->out[0].iov_len >= sizeof(*hdr))) {
		memcpy(hdr, req->out[0].iov_base, sizeof(*hdr));
		__asm__ volatile("" : "+m"(*hdr) : : "memory");
		return tx->nq.hdr_len;
	}
	memset(hdr, 0, sizeof(*hdr));
	return vhost_req_read(req, 0, hdr, tx->nq.hdr_len);
}

/* Header and packet as one piece in tx->copy. */
static unsigned int tx_copy(struct net_tx *tx, const struct vhost_req *req,
			    const struct virtio_net_hdr_v1 *hdr, size_t len)
{
	const size_t skip = tx->nq.hdr_len;

	memcpy(tx->copy, hdr, skip);
	if (likely(req->out_cnt == 1))
		memcpy(tx->copy + skip, (uint8_t *)req->out[0].iov_base + skip, len);
	else
		vhost_req_read(req, skip, tx->copy + skip, len);
	tx->iov[0] = (struct iovec){ tx->copy, skip + len };
	return 1;
}

/* Header and packet as iov; the number of elements. */
static unsigned int tx_gather(struct net_tx *tx, const struct vhost_req *req,
			      struct virtio_net_hdr_v1 *hdr, size_t len)
{
	size_t skip = tx->nq.hdr_len;
	unsigned int i, cnt = 1;

	if (skip + len <= tx->nq.port->ops->tx_whole || unlikely(req->out_cnt >= TX_IOVS))
		return tx_copy(tx, req, hdr, len);
	tx->iov[0] = (struct iovec){ hdr, skip };
	for (i = 0; skip >= req->out[i].iov_len; i++)
		skip -= req->out[i].iov_len;
	tx->iov[cnt++] = (struct iovec){ (uint8_t *)req->out[i].iov_base + skip,
					 req->out[i].iov_len - skip };
	while (++i < req->out_cnt)
		cnt = net_iov_add(tx->iov, cnt, &req->out[i]);
	return cnt;
}

/* The counter of what is wrong with a packet, or NULL; got bytes of its header are in hdr. */
static uint64_t *tx_judge(struct net_tx *tx, struct virtio_net_hdr_v1 *hdr, size_t got, size_t len)
{
	if (got < tx->nq.hdr_len || len < ETH_HLEN)
		return &tx->nq.stats.malformed;
	if (len > PORT_PACKET_MAX)
		return &tx->nq.stats.too_long;
	return hdr_judge(hdr, len, tx->nq.features) ? NULL : &tx->nq.stats.malformed;
}

/* To the port with it.  0: sent, -EAGAIN: not now, others: never. */
static int tx_hand_over(struct net_tx *tx, const struct vhost_req *req,
			struct virtio_net_hdr_v1 *hdr, size_t len)
{
	unsigned int cnt = tx_gather(tx, req, hdr, len);

	return tx->nq.port->ops->tx(tx->nq.port, tx->nq.pair, tx->iov, cnt);
}

/* Whether the packet was sent or dropped, and counted; otherwise it has to wait. */
static bool tx_packet(struct net_tx *tx, const struct vhost_req *req)
{
	struct virtio_net_stats *stats = &tx->nq.stats;
	struct virtio_net_hdr_v1 hdr;
	size_t got = tx_read_hdr(tx, req, &hdr), len = req->out_len - got;
	uint64_t *counter = tx_judge(tx, &hdr, got, len);
	int ret = counter ? 0 : tx_hand_over(tx, req, &hdr, len);

	if (ret == -EAGAIN)
		return false;
	if (ret == -ENODEV || ret == -ENETDOWN) {
		counter = &stats->no_link;
		if (ret == -ENODEV)
			net_lost(tx->nq.net);
	} else if (ret) {
		counter = &stats->refused;
	} else if (!counter) {
		counter = &stats->packets;
		stats->bytes += len;
	}
	++*counter;
	return true;
}

/* The number of packets which are done with, fewer than n if the port has no room. */
static unsigned int tx_batch(struct net_tx *tx, struct vhost_req *const *reqs, unsigned int n)
{
	uint64_t *counter = tx_refuses(tx);
	unsigned int i, pushed = 0;

	for (i = 0; i < n; i++) {
		if (counter)
			++*counter;
		else if (!tx_packet(tx, reqs[i]))
			break;
		if (i + 1 - pushed == TX_PUSH) {
			vhost_queue_push(tx->nq.queue, reqs + pushed, NULL, TX_PUSH);
			pushed += TX_PUSH;
		}
	}
	vhost_queue_push(tx->nq.queue, reqs + pushed, NULL, i - pushed);
	return i;
}

static void tx_wait(struct net_tx *tx, bool on)
{
	if (on == tx->waiting || !tx->nq.ev)
		return;
	if (on)
		event_add(tx->nq.ev, NULL);
	else
		event_del(tx->nq.ev);
	tx->waiting = on;
}

void tx_run(struct net_tx *tx)
{
	struct vhost_req *reqs[TX_BATCH];
	unsigned int n, done;

	if (tx->waiting && !tx_refuses(tx))
		return;
	tx_wait(tx, false);
	do {
		n = vhost_queue_pop(tx->nq.queue, reqs, TX_BATCH);
		done = tx_batch(tx, reqs, n);
		if (done < n) {
			vhost_queue_unpop(tx->nq.queue, n - done);
			tx_wait(tx, true);
			return;
		}
	} while (n == TX_BATCH);
}

static void tx_event(evutil_socket_t fd, short what, void *arg)
{
	struct net_tx *tx = arg;

	(void)fd, (void)what;
	tx->waiting = false;
	tx_run(tx);
}

/*
 * Life
 */

int tx_start(struct net_tx *tx)
{
	int fd = tx->nq.port->ops->fd(tx->nq.port, tx->nq.pair);
	struct event_base *base = vhost_worker_base(vhost_queue_worker(tx->nq.queue));

	tx->waiting = false;
	tx->copy = malloc(PORT_HDR_MAX + PORT_PACKET_MAX);
	if (fd >= 0)
		tx->nq.ev = event_new(base, fd, EV_WRITE, tx_event, tx);
	if (tx->copy && (tx->nq.ev || fd < 0)) {
		tx->nq.live = true;
		return 0;
	}
	free(tx->copy);
	return -ENOMEM;
}

void tx_stop(struct net_tx *tx)
{
	if (!tx->nq.live)
		return;
	tx->nq.live = false;
	if (tx->nq.ev)
		event_free(tx->nq.ev);
	tx->nq.ev = NULL;
	free(tx->copy);
}
