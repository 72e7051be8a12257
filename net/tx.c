/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending: packets go to the port straight from guest memory.
 *
 * Only the header is copied, since the guest could change it between our judgement and the
 * kernel's reading.  A port without room gives back-pressure: what was popped goes back to the
 * ring, and when the port's fd becomes writable it goes on.  Where nobody listens (a
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

/* The counter of packets which go nowhere, as all do now; NULL: they do go somewhere. */
static uint64_t *tx_refuses(struct net_tx *tx)
{
	if (!vhost_queue_enabled(tx->nq.queue) ||
	    tx->nq.pair >= atomic_load(&tx->nq.net->pairs_on))
		return &tx->nq.stats.discarded;
	return virtio_net_has_link(tx->nq.net) ? NULL : &tx->nq.stats.no_link;
}

/* The packet behind the header as iov[1] and on; the number of elements, 0: there is no memory. */
static unsigned int tx_gather(struct net_tx *tx, struct vhost_req *req, size_t len)
{
	const struct iovec *slice;
	unsigned int cnt;

	if (req->out_cnt >= TX_IOVS) {
		vhost_req_read(req, tx->nq.hdr_len, tx->copy, len);
		tx->iov[1] = (struct iovec){ tx->copy, len };
		return 2;
	}
	slice = vhost_req_slice(req, VHOST_OUT, tx->nq.hdr_len, len, &cnt);
	if (!slice)
		return 0;
	memcpy(tx->iov + 1, slice, cnt * sizeof(slice[0]));
	return cnt + 1;
}

/* To the port with it.  0: sent, -EAGAIN: not now, others: never. */
static int tx_hand_over(struct net_tx *tx, struct vhost_req *req, struct virtio_net_hdr_v1 *hdr,
			size_t len)
{
	unsigned int cnt = tx_gather(tx, req, len);

	if (!cnt)
		return -ENOMEM;
	tx->iov[0] = (struct iovec){ hdr, tx->nq.hdr_len };
	return tx->nq.port->ops->tx(tx->nq.port, tx->nq.pair, tx->iov, cnt);
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

/* Whether the packet was sent or dropped, and counted; otherwise it has to wait. */
static bool tx_packet(struct net_tx *tx, struct vhost_req *req)
{
	struct virtio_net_stats *stats = &tx->nq.stats;
	struct virtio_net_hdr_v1 hdr = { 0 };
	size_t got = vhost_req_read(req, 0, &hdr, tx->nq.hdr_len), len = req->out_len - got;
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
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint64_t *counter = tx_refuses(tx);

		if (counter)
			++*counter;
		else if (!tx_packet(tx, reqs[i]))
			break;
		vhost_req_push(reqs[i], 0);
	}
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
	tx->copy = malloc(PORT_PACKET_MAX);
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
