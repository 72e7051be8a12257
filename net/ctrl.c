/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control queue (VIRTIO 5.1.6.5): filters, number of pairs, offloads, announcements.
 *
 * Only front-ends which do not answer for the device by themselves set it up, as User-mode Linux.
 * A command is copied on the queue's worker, carried out on the control worker, and answered
 * on the queue's worker again; meanwhile the next one waits.
 *
 * The device filters nothing, which the driver must reckon with (VIRTIO 5.1.6.5.1).
 */
#include <endian.h>
#include <string.h>

#include "internal.h"

struct ctrl_command {
	uint8_t class, command;
	uint8_t feature;		/* number of the bit which it needs */
	uint8_t params;			/* bytes which must be there */
	bool (*run)(struct net_ctrl *ctrl, const uint8_t *params);
};

static bool ctrl_nothing(struct net_ctrl *ctrl, const uint8_t *params)
{
	(void)ctrl, (void)params;
	return true;
}

static bool ctrl_switch(struct net_ctrl *ctrl, const uint8_t *params)
{
	(void)ctrl;
	return *params <= 1;
}

static bool ctrl_vlan(struct net_ctrl *ctrl, const uint8_t *params)
{
	uint16_t id;

	(void)ctrl;
	memcpy(&id, params, sizeof(id));
	return le16toh(id) < 4096;
}

/* Into the config space, as the driver reads it there. */
static bool ctrl_set_mac(struct net_ctrl *ctrl, const uint8_t *params)
{
	/* A group address is nobody's. */
	if (params[0] & 1)
		return false;
	return !vhost_dev_update_config(ctrl->net->dev, offsetof(struct virtio_net_config, mac),
					params, sizeof(((struct virtio_net_config *)0)->mac));
}

static bool ctrl_announced(struct net_ctrl *ctrl, const uint8_t *params)
{
	(void)params;
	net_announced(ctrl->net);
	return true;
}

static bool ctrl_set_pairs(struct net_ctrl *ctrl, const uint8_t *params)
{
	uint16_t pairs;

	memcpy(&pairs, params, sizeof(pairs));
	pairs = le16toh(pairs);
	if (!pairs || pairs > ctrl->net->pairs)
		return false;
	net_set_pairs(ctrl->net, pairs);
	return true;
}

static bool ctrl_set_offloads(struct net_ctrl *ctrl, const uint8_t *params)
{
	uint64_t offloads;

	memcpy(&offloads, params, sizeof(offloads));
	return !net_set_offloads(ctrl->net, le64toh(offloads));
}

static const struct ctrl_command ctrl_commands[] = {
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_F_CTRL_RX, 1, ctrl_switch },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, VIRTIO_NET_F_CTRL_RX, 1, ctrl_switch },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1,
	  ctrl_switch },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOMULTI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1,
	  ctrl_switch },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, VIRTIO_NET_F_CTRL_RX_EXTRA, 1,
	  ctrl_switch },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, VIRTIO_NET_F_CTRL_RX_EXTRA, 1,
	  ctrl_switch },
	/* Two lists of addresses of which we make no use. */
	{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, VIRTIO_NET_F_CTRL_RX, 8,
	  ctrl_nothing },
	{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, VIRTIO_NET_F_CTRL_MAC_ADDR, 6,
	  ctrl_set_mac },
	{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, VIRTIO_NET_F_CTRL_VLAN, 2, ctrl_vlan },
	{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, VIRTIO_NET_F_CTRL_VLAN, 2, ctrl_vlan },
	{ VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE, 0,
	  ctrl_announced },
	{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, VIRTIO_NET_F_MQ, 2,
	  ctrl_set_pairs },
	{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, 8, ctrl_set_offloads },
};

/* Carry out what is in ctrl->data. */
static bool ctrl_execute(struct net_ctrl *ctrl)
{
	const size_t header = sizeof(struct virtio_net_ctrl_hdr);
	size_t i;

	for (i = 0; ctrl->len >= header && i < ARRAY_SIZE(ctrl_commands); i++) {
		const struct ctrl_command *c = &ctrl_commands[i];

		if (c->class == ctrl->data[0] && c->command == ctrl->data[1])
			return BIT(c->feature) & vhost_dev_features(ctrl->net->dev) &&
			       ctrl->len - header >= c->params &&
			       c->run(ctrl, ctrl->data + header);
	}
	return false;
}

/* On the queue's worker: the answer. */
static void ctrl_finish(struct vhost_work *work)
{
	struct net_ctrl *ctrl = container_of(work, struct net_ctrl, work);
	const uint8_t ack = ctrl->ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
	struct vhost_req *req = ctrl->req;

	ctrl->req = NULL;
	vhost_req_push(req, vhost_req_write(req, 0, &ack, sizeof(ack)));
	ctrl_run(ctrl, ctrl->queue);
}

static void ctrl_work(struct vhost_work *work)
{
	struct net_ctrl *ctrl = container_of(work, struct net_ctrl, work);

	ctrl->ok = ctrl_execute(ctrl);
	ctrl->work.fn = ctrl_finish;
	vhost_worker_post(vhost_queue_worker(ctrl->queue), &ctrl->work);
}

void ctrl_run(struct net_ctrl *ctrl, struct vhost_queue *q)
{
	if (ctrl->req || !vhost_queue_enabled(q) || !vhost_queue_pop(q, &ctrl->req, 1))
		return;
	ctrl->queue = q;
	ctrl->len = vhost_req_read(ctrl->req, 0, ctrl->data, sizeof(ctrl->data));
	ctrl->work.fn = ctrl_work;
	vhost_worker_post(ctrl->net->control, &ctrl->work);
}
