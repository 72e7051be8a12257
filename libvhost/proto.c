/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A message's way: its check, its handler, its answer.
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
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>

#include "probe.h"
#include "proto.h"

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
	if (row->gates & ~dev->protocol_features)
		return "its protocol feature was not negotiated";
	if (row->flags & F_IOMMU && !(dev->features & BIT(VIRTIO_F_ACCESS_PLATFORM)))
		return "its feature was not negotiated";
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
	conn_reply(dev);
}

void proto_reply_fd(struct vhost_dev *dev, int fd)
{
	struct msg *out = &dev->conn.out.msg;

	out->fds[0] = fd;
	out->nfds = 1;
}

/* The reply which a handler has left in the message, and its fd in conn.out. */
static void proto_send_own(struct vhost_dev *dev)
{
	const struct msg *in = &dev->conn.in.msg;
	uint32_t size = sizeof(in->payload.u64);

	if (proto_row(in)->flags & F_SIZED_REPLY)
		size = in->header.size;
	memcpy(&dev->conn.out.msg.payload, &in->payload, size);
	proto_send(dev, size);
}

/* Whether a no can be told, and will not be taken for the message's own reply. */
static bool proto_can_nack(const struct vhost_dev *dev, const struct proto_row *row,
			   const struct msg *msg)
{
	if (!(msg->header.flags & VU_NEED_REPLY))
		return false;
	return !row || !(row->flags & (dev->postcopy.listening ? F_REPLY | F_SIZED_REPLY : F_REPLY));
}

/* "queue N: " if the message is about a queue which there is. */
static void proto_queue_words(const struct vhost_dev *dev, const struct msg *msg, char *text,
			      size_t size)
{
	const struct proto_row *row = proto_row(msg);
	bool fd = row && row->flags & F_FD_INDEX;
	uint64_t index = fd ? msg->payload.u64 & VU_VRING_INDEX_MASK : msg->payload.state.index;

	*text = '\0';
	if (row && row->flags & (F_INDEX | F_FD_INDEX) && msg->header.size >= row->size &&
	    index < dev->nqueues)
		snprintf(text, size, "queue %" PRIu64 ": ", index);
}

static void proto_refuse(struct vhost_dev *dev, const char *why)
{
	const struct msg *in = &dev->conn.in.msg;
	const struct proto_row *row = proto_row(in);
	char queue[32], text[192];

	dev->stats.refused++;
	proto_queue_words(dev, in, queue, sizeof(queue));
	snprintf(text, sizeof(text), "%s%s (%" PRIu32 ") refused: %s", queue,
		 row ? row->name : "message", in->header.request, why);
	if (proto_can_nack(dev, row, in)) {
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
	if (result < 0 || dev->conn.closing)
		msg_close_fds(out);
	if (dev->conn.closing) {
		conn_continue(dev);
	} else if (result < 0) {
		proto_refuse(dev, strerrordesc_np(-result));
	} else if (result == PROTO_REPLY) {
		proto_send_own(dev);
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
	PROBE3(message, dev->name, msg->header.request, row ? row->name : "unknown");
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
