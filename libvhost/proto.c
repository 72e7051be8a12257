/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The message table: what each message looks like, and who handles it.
 *
 * A message passes proto_check(), the one place which knows about sizes, file
 * descriptors, gates, ring indices and ring states, and then its handler, which
 * finds only what is left to check.  proto_finish() gives the one answer:
 *
 *   - a message with a reply of its own gets that;
 *   - one which asks for an acknowledgement gets 0 or 1;
 *   - a refused one which can be told neither way costs the connection.
 *
 * One message is in work at a time.  A handler which must wait for queues returns
 * PROTO_PENDING, and the socket is not read until proto_finish().
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

struct proto_row {
	const char *name;
	uint16_t size;			/* bytes of payload */
	uint16_t size_max;		/* 0: exactly size */
	uint8_t fds_min, fds_max;
	uint8_t gate;			/* enum vu_protocol_feature, with F_GATE */
	uint16_t flags;
	int (*fn)(struct vhost_dev *dev, struct msg *msg);
};

#define F_GATE		(1u << 0)	/* needs protocol feature gate */
#define F_INDEX		(1u << 1)	/* payload begins with a u32 ring index */
#define F_FD_INDEX	(1u << 2)	/* payload is a u64 with a ring index and NOFD */
#define F_STOPPED	(1u << 3)	/* the ring must not run; a disabled one is stopped first */
#define F_REPLY		(1u << 4)	/* has a reply of its own */

/*
 * Negotiation
 */

/* Bits which change how a ring is read: none may be acknowledged that was not offered. */
#define TRANSPORT_FEATURES (BIT(44) - BIT(24))

uint64_t proto_features_offered(const struct vhost_dev *dev)
{
	uint64_t f = BIT(VU_PROTOCOL_F_MQ) | BIT(VU_PROTOCOL_F_REPLY_ACK) |
		     BIT(VU_PROTOCOL_F_BACKEND_REQ) | BIT(VU_PROTOCOL_F_RESET_DEVICE) |
		     BIT(VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | BIT(VU_PROTOCOL_F_STATUS);

	if (dev->config_len)
		f |= BIT(VU_PROTOCOL_F_CONFIG);
	return f;
}

static int proto_get_features(struct vhost_dev *dev, struct msg *msg)
{
	msg->payload.u64 = dev_features_offered(dev);
	return PROTO_REPLY;
}

static int proto_accept_features(struct vhost_dev *dev, uint64_t features)
{
	int ret;

	if (features == dev->features)
		return 0;
	if (ring_setup_any_started(dev))
		return -EBUSY;
	/* Rings of a legacy driver are in the guest's byte order, which nobody tells us. */
	if (BYTE_ORDER == BIG_ENDIAN && !(features & BIT(VIRTIO_F_VERSION_1)))
		return -EOPNOTSUPP;
	ret = dev->ops.features ? dev->ops.features(dev, features) : 0;
	if (!ret)
		dev->features = features;
	return ret;
}

static int proto_set_features(struct vhost_dev *dev, struct msg *msg)
{
	uint64_t unknown = msg->payload.u64 & ~dev_features_offered(dev);
	uint64_t features = msg->payload.u64 & ~unknown;
	unsigned int i;
	int ret;

	if (unknown & TRANSPORT_FEATURES)
		return -EINVAL;
	/* QEMU adds bits of the device type which it emulates by itself. */
	if (unknown)
		dev_log(dev, VHOST_LOG_DEBUG, "features %#" PRIx64 " were not offered", unknown);
	ret = proto_accept_features(dev, features);
	if (ret)
		return ret;
	/* "Ring states": without protocol features there is no SET_VRING_ENABLE. */
	if (features & BIT(VU_F_PROTOCOL_FEATURES))
		return 0;
	for (i = 0; i < dev->nqueues; i++)
		dev->rings[i].enabled = true;
	ring_setup_apply_all(dev, proto_finish);
	return PROTO_PENDING;
}

static int proto_get_protocol_features(struct vhost_dev *dev, struct msg *msg)
{
	msg->payload.u64 = proto_features_offered(dev);
	return PROTO_REPLY;
}

static int proto_set_protocol_features(struct vhost_dev *dev, struct msg *msg)
{
	uint64_t features = msg->payload.u64;

	if (features & ~proto_features_offered(dev))
		return -EINVAL;
	if (features != dev->protocol_features && ring_setup_any_started(dev))
		return -EBUSY;
	dev->protocol_features = features;
	return 0;
}

static int proto_get_queue_num(struct vhost_dev *dev, struct msg *msg)
{
	msg->payload.u64 = dev->nqueues;
	return PROTO_REPLY;
}

static int proto_set_owner(struct vhost_dev *dev, struct msg *msg)
{
	(void)dev, (void)msg;
	return 0;
}

/* Deprecated, and to be ignored: what old front-ends mean by it differs. */
static int proto_reset_owner(struct vhost_dev *dev, struct msg *msg)
{
	(void)dev, (void)msg;
	return 0;
}

/*
 * Config space
 */

/* Whether the message's range is within bounds and as long as the message says. */
static bool config_in_range(const struct msg *msg)
{
	const struct vu_config *c = &msg->payload.config;

	return c->size <= VU_CONFIG_MAX && c->offset <= VU_CONFIG_MAX - c->size &&
	       msg->header.size == VU_CONFIG_HEADER + c->size;
}

static int proto_get_config(struct vhost_dev *dev, struct msg *msg)
{
	struct vu_config *c = &msg->payload.config;

	if (!config_in_range(msg) || c->flags) {
		/* "Communication": an empty payload is this message's error. */
		msg->header.size = 0;
		return PROTO_REPLY;
	}
	/* Beyond our config space the array holds zeroes. */
	memcpy(c->region, dev->config + c->offset, c->size);
	return PROTO_REPLY;
}

static int proto_set_config(struct vhost_dev *dev, struct msg *msg)
{
	struct vu_config *c = &msg->payload.config;
	int ret;

	if (!config_in_range(msg) || c->flags > VU_CONFIG_MIGRATION || !c->size ||
	    c->offset >= dev->config_len || c->size > dev->config_len - c->offset)
		return -EINVAL;
	if (!dev->ops.set_config)
		return -EPERM;
	ret = dev->ops.set_config(dev, c->offset, c->region, c->size);
	if (!ret)
		memcpy(dev->config + c->offset, c->region, c->size);
	return ret;
}

static int proto_set_backend_req_fd(struct vhost_dev *dev, struct msg *msg)
{
	return backend_open(dev, msg_take_fd(msg));
}

/*
 * Reset and status
 */

static void proto_reset_drained(struct vhost_dev *dev, int result)
{
	dev_reset(dev);
	proto_finish(dev, result);
}

static int proto_reset_device(struct vhost_dev *dev, struct msg *msg)
{
	unsigned int i;

	(void)msg;
	for (i = 0; i < dev->nqueues; i++)
		dev->rings[i].started = false;
	ring_setup_apply_all(dev, proto_reset_drained);
	return PROTO_PENDING;
}

/*
 * Status 0 comes at each stop, a paused machine's included; the reset of a device is
 * RESET_DEVICE.  So the byte is noted and nothing more.
 */
static int proto_set_status(struct vhost_dev *dev, struct msg *msg)
{
	if (msg->payload.u64 > UINT8_MAX)
		return -EINVAL;
	dev->status = (uint8_t)msg->payload.u64;
	return 0;
}

static int proto_get_status(struct vhost_dev *dev, struct msg *msg)
{
	msg->payload.u64 = dev->status;
	return PROTO_REPLY;
}

/*
 * The table
 */

#define SIZE_STATE sizeof(struct vu_vring_state)
#define SIZE_MEMORY_MIN offsetof(struct vu_memory, regions)
#define SIZE_CONFIG_MAX (VU_CONFIG_HEADER + VU_CONFIG_MAX)
#define GATED(feature) .gate = VU_PROTOCOL_F_##feature, .flags = F_GATE
#define GATED_REPLY(feature) .gate = VU_PROTOCOL_F_##feature, .flags = F_GATE | F_REPLY

static const struct proto_row proto_table[VU_REQUEST_END] = {
	[VU_GET_FEATURES] = { "GET_FEATURES", .flags = F_REPLY, .fn = proto_get_features },
	[VU_SET_FEATURES] = { "SET_FEATURES", 8, .fn = proto_set_features },
	[VU_SET_OWNER] = { "SET_OWNER", .fn = proto_set_owner },
	[VU_RESET_OWNER] = { "RESET_OWNER", .fn = proto_reset_owner },
	[VU_SET_MEM_TABLE] = { "SET_MEM_TABLE", SIZE_MEMORY_MIN, sizeof(struct vu_memory),
			       0, VU_FDS_MAX, .fn = proto_set_mem_table },
	[VU_SET_VRING_NUM] = { "SET_VRING_NUM", SIZE_STATE, .flags = F_INDEX | F_STOPPED,
			       .fn = proto_set_vring_num },
	[VU_SET_VRING_ADDR] = { "SET_VRING_ADDR", sizeof(struct vu_vring_addr), .flags = F_INDEX,
				.fn = proto_set_vring_addr },
	[VU_SET_VRING_BASE] = { "SET_VRING_BASE", SIZE_STATE, .flags = F_INDEX | F_STOPPED,
				.fn = proto_set_vring_base },
	[VU_GET_VRING_BASE] = { "GET_VRING_BASE", SIZE_STATE, .flags = F_INDEX | F_REPLY,
				.fn = proto_get_vring_base },
	[VU_SET_VRING_KICK] = { "SET_VRING_KICK", 8, 0, 0, 1, .flags = F_FD_INDEX,
				.fn = proto_set_vring_kick },
	[VU_SET_VRING_CALL] = { "SET_VRING_CALL", 8, 0, 0, 1, .flags = F_FD_INDEX,
				.fn = proto_set_vring_call },
	[VU_SET_VRING_ERR] = { "SET_VRING_ERR", 8, 0, 0, 1, .flags = F_FD_INDEX,
			       .fn = proto_set_vring_err },
	[VU_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", .flags = F_REPLY,
				       .fn = proto_get_protocol_features },
	[VU_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", 8,
				       .fn = proto_set_protocol_features },
	[VU_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", GATED_REPLY(MQ), .fn = proto_get_queue_num },
	/* QEMU sends it before SET_FEATURES: the gate is what we offered, so always open. */
	[VU_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", SIZE_STATE, .flags = F_INDEX,
				  .fn = proto_set_vring_enable },
	[VU_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", 0, 0, 1, 1, GATED(BACKEND_REQ),
				    .fn = proto_set_backend_req_fd },
	[VU_GET_CONFIG] = { "GET_CONFIG", VU_CONFIG_HEADER, SIZE_CONFIG_MAX, GATED_REPLY(CONFIG),
			    .fn = proto_get_config },
	[VU_SET_CONFIG] = { "SET_CONFIG", VU_CONFIG_HEADER, SIZE_CONFIG_MAX, GATED(CONFIG),
			    .fn = proto_set_config },
	[VU_RESET_DEVICE] = { "RESET_DEVICE", GATED(RESET_DEVICE), .fn = proto_reset_device },
	[VU_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", GATED_REPLY(CONFIGURE_MEM_SLOTS),
				   .fn = proto_get_max_mem_slots },
	[VU_ADD_MEM_REG] = { "ADD_MEM_REG", sizeof(struct vu_mem_reg), 0, 1, 1,
			     GATED(CONFIGURE_MEM_SLOTS), .fn = proto_add_mem_reg },
	[VU_REM_MEM_REG] = { "REM_MEM_REG", sizeof(struct vu_mem_reg), 0, 0, 1,
			     GATED(CONFIGURE_MEM_SLOTS), .fn = proto_rem_mem_reg },
	[VU_SET_STATUS] = { "SET_STATUS", 8, GATED(STATUS), .fn = proto_set_status },
	[VU_GET_STATUS] = { "GET_STATUS", GATED_REPLY(STATUS), .fn = proto_get_status },
};

static const struct proto_row *proto_row(const struct msg *msg)
{
	uint32_t id = msg->header.request;

	return id < VU_REQUEST_END && proto_table[id].fn ? &proto_table[id] : NULL;
}

/*
 * Checks
 */

static const char *proto_check_shape(const struct proto_row *row, const struct msg *msg)
{
	uint32_t size = msg->header.size;

	if (size < row->size || size > MAX(row->size, row->size_max))
		return "wrong payload size";
	if (msg->nfds < row->fds_min || msg->nfds > row->fds_max)
		return "wrong number of file descriptors";
	return NULL;
}

static const char *proto_check_ring(const struct vhost_dev *dev, const struct proto_row *row,
				    const struct msg *msg)
{
	uint32_t index = msg->payload.state.index;

	if (row->flags & F_FD_INDEX) {
		uint64_t v = msg->payload.u64;

		if (v & ~(uint64_t)(VU_VRING_INDEX_MASK | VU_VRING_NOFD))
			return "reserved bits are set";
		if (msg->nfds != !(v & VU_VRING_NOFD))
			return "wrong number of file descriptors";
		index = v & VU_VRING_INDEX_MASK;
	}
	if (index >= dev->nqueues)
		return "no such queue";
	if (row->flags & F_STOPPED && dev->rings[index].started && dev->rings[index].enabled)
		return "the ring is started";
	return NULL;
}

static const char *proto_check(const struct vhost_dev *dev, const struct proto_row *row,
			       const struct msg *msg)
{
	const char *why;

	if (!row)
		return "unknown message";
	if (row->flags & F_GATE && !(dev->protocol_features & BIT(row->gate)))
		return "its protocol feature was not negotiated";
	why = proto_check_shape(row, msg);
	if (!why && row->flags & (F_INDEX | F_FD_INDEX))
		why = proto_check_ring(dev, row, msg);
	return why;
}

/*
 * Answers
 */

static void proto_send(struct vhost_dev *dev, uint32_t size)
{
	const struct msg *in = &dev->conn.in.msg;
	struct msg *out = &dev->conn.out.msg;

	/* Exactly these flags: QEMU refuses a reply which still asks for one. */
	out->header = (struct vu_header){ in->header.request, VU_VERSION | VU_REPLY, size };
	out->nfds = 0;
	conn_reply(dev);
}

/* The size of the reply which a handler has left in the message. */
static uint32_t proto_reply_size(const struct msg *msg)
{
	switch (msg->header.request) {
	case VU_GET_VRING_BASE:
	case VU_GET_CONFIG:
		return msg->header.size;
	default:
		return sizeof(msg->payload.u64);
	}
}

static void proto_refuse(struct vhost_dev *dev, const char *why)
{
	const struct msg *in = &dev->conn.in.msg;
	const struct proto_row *row = proto_row(in);
	char text[128];

	dev->stats.refused++;
	snprintf(text, sizeof(text), "%s (%" PRIu32 ") refused: %s", row ? row->name : "message",
		 in->header.request, why);
	if (in->header.flags & VU_NEED_REPLY && !(row && row->flags & F_REPLY)) {
		dev_log(dev, VHOST_LOG_WARN, "%s", text);
		dev->conn.out.msg.payload.u64 = 1;
		proto_send(dev, sizeof(uint64_t));
	} else {
		conn_close(dev, text);
		conn_continue(dev);
	}
}

void proto_finish(struct vhost_dev *dev, int result)
{
	struct msg *in = &dev->conn.in.msg, *out = &dev->conn.out.msg;

	msg_close_fds(in);
	if (dev->conn.closing) {
		conn_continue(dev);
	} else if (result < 0) {
		proto_refuse(dev, strerrordesc_np(-result));
	} else if (result == PROTO_REPLY) {
		uint32_t size = proto_reply_size(in);

		memcpy(&out->payload, &in->payload, size);
		proto_send(dev, size);
	} else if (in->header.flags & VU_NEED_REPLY) {
		out->payload.u64 = 0;
		proto_send(dev, sizeof(uint64_t));
	} else {
		conn_continue(dev);
	}
}

static void proto_run(struct vhost_dev *dev)
{
	struct msg *msg = &dev->conn.in.msg;
	const struct proto_row *row = proto_row(msg);
	int ret;

	dev_log(dev, VHOST_LOG_DEBUG, "%s", row->name);
	ret = row->fn(dev, msg);
	if (ret != PROTO_PENDING)
		proto_finish(dev, ret);
}

static void proto_ring_stopped(struct vhost_dev *dev, int result)
{
	(void)result;
	proto_run(dev);
}

/*
 * User-mode Linux resets a device without GET_VRING_BASE: it disables the rings and
 * sets them up anew.  The first such message then is the stop.
 */
static bool proto_must_stop(const struct vhost_dev *dev, const struct proto_row *row,
			    const struct msg *msg)
{
	return row->flags & F_STOPPED && dev->rings[msg->payload.state.index].started;
}

void proto_handle(struct vhost_dev *dev)
{
	struct msg *msg = &dev->conn.in.msg;
	const struct proto_row *row = proto_row(msg);
	const char *why = proto_check(dev, row, msg);

	dev->stats.messages++;
	if (why) {
		msg_close_fds(msg);
		proto_refuse(dev, why);
	} else if (proto_must_stop(dev, row, msg)) {
		dev->rings[msg->payload.state.index].started = false;
		ring_setup_apply(dev, msg->payload.state.index, 1, proto_ring_stopped);
	} else {
		proto_run(dev);
	}
}
