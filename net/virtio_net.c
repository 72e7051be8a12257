/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-net: life, features and config space of the device; its link.
 *
 * Packets are rx.c's and tx.c's business; each queue works by itself on its worker.  What is
 * decided about all of them (pairs in use, the interface gone) is an atomic word, which they read,
 * and a work posted to them, which makes them read it.
 *
 * When the interface has gone, the first queue to notice posts to the control worker, if that has
 * not been told by the port.  It says so in the config space and tries to open it again once a
 * second.  An interface which is down is only waited for.
 */
#include "virtio_net.h"

#include <endian.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Bytes of the config space: up to the MTU. */
#define NET_CONFIG_LEN	12u

_Static_assert(offsetof(struct virtio_net_config, mtu) + 2 == NET_CONFIG_LEN,
	       "the config space ends with the MTU");

/*
 * Queues (VIRTIO 5.1.2)
 */

/* The control queue comes behind the data queues which the driver knows about. */
static bool net_is_ctrl(const struct virtio_net *net, const struct vhost_queue *q)
{
	uint64_t features = vhost_dev_features(net->dev);
	unsigned int pairs = features & BIT(VIRTIO_NET_F_MQ) ? net->pairs : 1;

	return features & BIT(VIRTIO_NET_F_CTRL_VQ) && vhost_queue_index(q) == 2 * pairs;
}

/* Queues in a place where the driver knows none are left alone. */
static struct net_pair *net_pair(struct virtio_net *net, const struct vhost_queue *q)
{
	unsigned int i = vhost_queue_index(q) / 2;

	return i < net->pairs ? &net->pair[i] : NULL;
}

static bool net_is_rx(const struct vhost_queue *q)
{
	return vhost_queue_index(q) % 2 == 0;
}

static void net_kick(struct vhost_queue *q)
{
	struct virtio_net *net = vhost_queue_opaque(q);
	struct net_pair *pair = net_pair(net, q);

	if (net_is_ctrl(net, q))
		ctrl_run(&net->ctrl, q);
	else if (pair && net_is_rx(q))
		rx_run(&pair->rx);
	else if (pair)
		tx_run(&pair->tx);
}

static void net_begin(struct net_queue *nq)
{
	nq->features = vhost_dev_features(nq->net->dev);
	nq->hdr_len = hdr_len(nq->features);
}

static int net_queue_start(struct vhost_queue *q)
{
	struct virtio_net *net = vhost_queue_opaque(q);
	struct net_pair *pair = net_pair(net, q);

	if (net_is_ctrl(net, q)) {
		/* Who has it begins with one pair. */
		net_set_pairs(net, 1);
		return 0;
	}
	if (!pair)
		return 0;
	if (net_is_rx(q)) {
		net_begin(&pair->rx.nq);
		return rx_start(&pair->rx);
	}
	net_begin(&pair->tx.nq);
	return tx_start(&pair->tx);
}

static void net_queue_stop(struct vhost_queue *q)
{
	struct virtio_net *net = vhost_queue_opaque(q);
	struct net_pair *pair = net_pair(net, q);

	if (net_is_ctrl(net, q))
		net_set_pairs(net, net->pairs);
	else if (!pair)
		return;
	else if (net_is_rx(q))
		rx_stop(&pair->rx);
	else
		tx_stop(&pair->tx);
}

/*
 * What is decided about all queues
 */

static void net_update_rx(struct vhost_work *work)
{
	struct net_rx *rx = container_of(work, struct net_rx, nq.update);

	atomic_store(&rx->nq.updating, false);
	rx_run(rx);
}

static void net_update_tx(struct vhost_work *work)
{
	struct net_tx *tx = container_of(work, struct net_tx, nq.update);

	atomic_store(&tx->nq.updating, false);
	if (tx->nq.live)
		tx_run(tx);
}

static void net_update(struct net_queue *nq)
{
	struct vhost_worker *worker = vhost_queue_worker(nq->queue);

	/* None: the device has not been served yet. */
	if (worker && !atomic_exchange(&nq->updating, true))
		vhost_worker_post(worker, &nq->update);
}

/* Make the queues look at what has changed. */
static void net_update_all(struct virtio_net *net)
{
	unsigned int i;

	for (i = 0; i < net->pairs; i++) {
		net_update(&net->pair[i].rx.nq);
		net_update(&net->pair[i].tx.nq);
	}
}

void net_set_pairs(struct virtio_net *net, unsigned int pairs)
{
	if (atomic_exchange(&net->pairs_on, pairs) != pairs)
		net_update_all(net);
}

int net_set_offloads(struct virtio_net *net, uint64_t offloads)
{
	uint64_t features = vhost_dev_features(net->dev);

	if (offloads & ~(features & PORT_GUEST_OFFLOADS))
		return -EINVAL;
	net->features = (features & ~PORT_GUEST_OFFLOADS) | offloads;
	return net->port->ops->set_features(net->port, net->features);
}

/*
 * The link
 */

static void net_set_status(struct virtio_net *net, uint16_t status)
{
	uint16_t value = htole16(status);

	if (status == net->status)
		return;
	net->status = status;
	vhost_dev_update_config(net->dev, offsetof(struct virtio_net_config, status), &value,
				sizeof(value));
}

void net_announced(struct virtio_net *net)
{
	net_set_status(net, net->status & ~VIRTIO_NET_S_ANNOUNCE);
}

bool virtio_net_has_link(const struct virtio_net *net)
{
	return !atomic_load(&net->lost) && !atomic_load(&net->down) && !atomic_load(&net->pulled);
}

/* Tell everybody who has to know. */
static void net_tell(struct virtio_net *net, enum virtio_net_news news)
{
	bool announces = net->features & BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);

	/* Who has been away is to be found again by the switches around. */
	net_set_status(net, virtio_net_has_link(net) ?
		       VIRTIO_NET_S_LINK_UP | (announces ? VIRTIO_NET_S_ANNOUNCE : 0) : 0);
	if (net->news)
		net->news(net->arg, news);
	net_update_all(net);
}

void virtio_net_set_link(struct virtio_net *net, bool up)
{
	if (atomic_exchange(&net->pulled, !up) == up)
		net_tell(net, up ? NET_PLUGGED : NET_PULLED);
}

static void net_try_later(struct virtio_net *net)
{
	static const struct timeval second = { 1, 0 };

	event_add(net->reopen_ev, &second);
}

static void net_lost_work(struct vhost_work *work)
{
	struct virtio_net *net = container_of(work, struct virtio_net, lost_work);

	/* Those who did not notice let go of the old fds. */
	net_tell(net, NET_GONE);
	net_try_later(net);
}

void net_lost(struct virtio_net *net)
{
	if (!atomic_exchange(&net->lost, true))
		vhost_worker_post(net->control, &net->lost_work);
}

static void net_reopen(evutil_socket_t fd, short what, void *arg)
{
	struct virtio_net *net = arg;
	int ret = net->port->ops->reopen(net->port);
	bool down;

	(void)fd, (void)what;
	if (ret == -EOPNOTSUPP)
		return;
	if (ret) {
		net_try_later(net);
		return;
	}
	down = net->port->ops->link(net->port) == PORT_DOWN;
	atomic_store(&net->down, down);
	atomic_fetch_add(&net->opened, 1);
	atomic_store(&net->lost, false);
	net_tell(net, NET_BACK);
	if (down)
		net_tell(net, NET_DOWN);
}

/* The port has news.  Who has gone is not asked about: it comes back by net_reopen(). */
static void net_link_event(evutil_socket_t fd, short what, void *arg)
{
	struct virtio_net *net = arg;
	enum port_link link = net->port->ops->link(net->port);
	bool down = link == PORT_DOWN;

	(void)fd, (void)what;
	if (link == PORT_GONE)
		net_lost(net);
	else if (!atomic_load(&net->lost) && atomic_exchange(&net->down, down) != down)
		net_tell(net, down ? NET_DOWN : NET_UP);
}

/*
 * Control
 */

static int net_features(struct vhost_dev *dev, uint64_t acked)
{
	struct virtio_net *net = vhost_dev_opaque(dev);

	net->features = acked;
	return net->port->ops->set_features(net->port, acked);
}

/* The next driver begins with all pairs, unless it has a control queue. */
static void net_reset(struct vhost_dev *dev)
{
	struct virtio_net *net = vhost_dev_opaque(dev);

	net->features = 0;
	net_announced(net);
	net_set_pairs(net, net->pairs);
}

static void net_connection(struct vhost_dev *dev, bool up)
{
	struct virtio_net *net = vhost_dev_opaque(dev);

	if (net->connection)
		net->connection(net->arg, up);
}

/* As a host which asks who it is (RFC 903), so that switches learn where it is now. */
static int net_send_rarp(struct vhost_dev *dev, const uint8_t mac[6])
{
	struct {
		struct virtio_net_hdr_v1 hdr;	/* cut at its end */
		struct ethhdr eth;
		struct arphdr arp;
		uint8_t sender[6], sender_ip[4], target[6], target_ip[4];
		uint8_t padding[18];
	} __attribute__((packed)) frame = {
		.eth.h_proto = htobe16(ETH_P_RARP),
		.arp = {
			.ar_hrd = htobe16(ARPHRD_ETHER), .ar_pro = htobe16(ETH_P_IP),
			.ar_hln = 6, .ar_pln = 4, .ar_op = htobe16(ARPOP_RREQUEST),
		},
	};
	struct virtio_net *net = vhost_dev_opaque(dev);
	const struct iovec iov[] = {
		{ &frame.hdr, hdr_len(net->features) },
		{ &frame.eth, sizeof(frame) - sizeof(frame.hdr) },
	};

	memset(frame.eth.h_dest, 0xff, sizeof(frame.eth.h_dest));
	memcpy(frame.eth.h_source, mac, 6);
	memcpy(frame.sender, mac, 6);
	memcpy(frame.target, mac, 6);
	return net->port->ops->tx(net->port, 0, iov, ARRAY_SIZE(iov));
}

static int net_set_mtu(struct vhost_dev *dev, uint16_t mtu)
{
	struct virtio_net *net = vhost_dev_opaque(dev);

	return net->port->ops->set_mtu(net->port, mtu);
}

static const struct vhost_dev_ops net_ops = {
	.kick = net_kick,
	.queue_start = net_queue_start,
	.queue_stop = net_queue_stop,
	.features = net_features,
	.connection = net_connection,
	.reset = net_reset,
	.send_rarp = net_send_rarp,
	.set_mtu = net_set_mtu,
};

/*
 * Life
 */

static uint64_t net_offered(const struct virtio_net_params *params)
{
	uint64_t f = params->port->ops->features(params->port);

	f |= BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) |
	     BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
	     BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
	     BIT(VIRTIO_NET_F_GUEST_ANNOUNCE);
	if (f & BIT(VIRTIO_NET_F_GUEST_CSUM))
		f |= BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	if (params->port->pairs > 1)
		f |= BIT(VIRTIO_NET_F_MQ);
	if (params->mac)
		f |= BIT(VIRTIO_NET_F_MAC);
	if (params->mtu)
		f |= BIT(VIRTIO_NET_F_MTU);
	return f;
}

static int net_new_dev(struct virtio_net *net, const struct virtio_net_params *params)
{
	struct virtio_net_config config = {
		.status = htole16(net->status),
		.max_virtqueue_pairs = htole16((uint16_t)net->pairs),
		.mtu = htole16((uint16_t)params->mtu),
	};
	const struct vhost_dev_params p = {
		.name = params->name,
		.features = net_offered(params),
		.queues = 2 * net->pairs + 1,
		.queue_num = net->pairs,
		.queue_size_max = params->queue_size,
		.config = &config,
		.config_len = NET_CONFIG_LEN,
		.flags = params->flags | VHOST_DEV_KICK_DISABLED | VHOST_DEV_IN_ORDER,
		.features_off = params->features_off,
	};

	if (params->mac)
		memcpy(config.mac, params->mac, sizeof(config.mac));
	return vhost_dev_new(&net->dev, &net_ops, &p, net);
}

static void net_init_queue(struct virtio_net *net, struct net_queue *nq, unsigned int index)
{
	nq->net = net;
	nq->port = net->port;
	nq->pair = index / 2;
	nq->queue = vhost_dev_queue(net->dev, index);
	atomic_init(&nq->updating, false);
}

static void net_init(struct virtio_net *net)
{
	unsigned int i;

	for (i = 0; i < net->pairs; i++) {
		net_init_queue(net, &net->pair[i].rx.nq, 2 * i);
		net_init_queue(net, &net->pair[i].tx.nq, 2 * i + 1);
		net->pair[i].rx.nq.update.fn = net_update_rx;
		net->pair[i].tx.nq.update.fn = net_update_tx;
	}
	net->ctrl.net = net;
	net->lost_work.fn = net_lost_work;
	atomic_init(&net->opened, 0);
	atomic_init(&net->pairs_on, net->pairs);
}

/* The link as it is now, and events of it. */
static int net_watch(struct virtio_net *net)
{
	struct event_base *base = vhost_worker_base(net->control);
	int fd = net->port->ops->link_fd(net->port);

	atomic_init(&net->lost, false);
	atomic_init(&net->pulled, false);
	atomic_init(&net->down, net->port->ops->link(net->port) == PORT_DOWN);
	net->status = atomic_load(&net->down) ? 0 : VIRTIO_NET_S_LINK_UP;
	net->reopen_ev = event_new(base, -1, 0, net_reopen, net);
	if (!net->reopen_ev)
		return -ENOMEM;
	if (fd < 0)
		return 0;
	net->link_ev = event_new(base, fd, EV_READ | EV_PERSIST, net_link_event, net);
	return !net->link_ev || event_add(net->link_ev, NULL) ? -ENOMEM : 0;
}

int virtio_net_new(struct virtio_net **result, const struct virtio_net_params *params)
{
	struct virtio_net *net = calloc(1, sizeof(*net));
	int ret = -ENOMEM;

	if (!net)
		return -ENOMEM;
	net->port = params->port;
	net->control = params->control;
	net->pairs = params->port->pairs;
	net->arg = params->arg;
	net->connection = params->connection;
	net->news = params->link;
	net->pair = calloc(net->pairs, sizeof(net->pair[0]));
	if (net->pair)
		ret = net_watch(net);
	if (!ret)
		ret = net_new_dev(net, params);
	if (ret) {
		virtio_net_free(net);
		return ret;
	}
	net_init(net);
	if (net->news && atomic_load(&net->down))
		net->news(net->arg, NET_DOWN);
	*result = net;
	return 0;
}

struct vhost_dev *virtio_net_dev(const struct virtio_net *net)
{
	return net->dev;
}

static void net_nothing(void *arg)
{
	(void)arg;
}

/* What was posted has been done when a call which is made now has. */
static void net_wait_for_works(struct virtio_net *net)
{
	unsigned int i;

	for (i = 0; i < 2 * net->pairs; i++) {
		struct vhost_worker *w = vhost_queue_worker(vhost_dev_queue(net->dev, i));

		/* None: the device has never been served. */
		if (w)
			vhost_worker_call(w, net_nothing, NULL);
	}
}

void virtio_net_free(struct virtio_net *net)
{
	if (net->dev) {
		net_wait_for_works(net);
		vhost_dev_free(net->dev);
	}
	if (net->reopen_ev)
		event_free(net->reopen_ev);
	if (net->link_ev)
		event_free(net->link_ev);
	free(net->pair);
	free(net);
}

void virtio_net_stats(const struct virtio_net *net, unsigned int queue,
		      struct virtio_net_stats *stats)
{
	const struct net_pair *pair = &net->pair[queue / 2];

	/* No packets go through the control queue, which is behind those of the pairs. */
	if (queue / 2 >= net->pairs)
		*stats = (struct virtio_net_stats){ 0 };
	else
		*stats = queue % 2 ? pair->tx.nq.stats : pair->rx.nq.stats;
}
