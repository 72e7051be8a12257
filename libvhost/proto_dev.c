/* SPDX-License-Identifier: BSD-3-Clause */
/* Handlers of messages about the device as a whole: negotiation, config space, reset. */
#include "internal.h"

#include <errno.h>
#include <endian.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <string.h>

/*
 * Negotiation
 */

/* Bits which change how a ring is read: none may be acknowledged that was not offered. */
#define TRANSPORT_FEATURES (BIT(44) - BIT(24))

int proto_get_features(struct vhost_dev *dev, struct msg *msg)
{
	msg->payload.u64 = dev_features_offered(dev);
	return PROTO_REPLY;
}

/* The features of the driver, which do not include the log. */
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
	if (ret)
		return ret;
	/* No invalidation tells what becomes void while the IOMMU is out of use. */
	iotlb_memory_changed(dev, NULL);
	dev->features = features;
	return 0;
}

/* "Ring states": without protocol features there is no SET_VRING_ENABLE. */
static void proto_enable_all(struct vhost_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++)
		dev->rings[i].enabled = true;
}

int proto_set_features(struct vhost_dev *dev, struct msg *msg)
{
	uint64_t unknown = msg->payload.u64 & ~dev_features_offered(dev);
	uint64_t features = msg->payload.u64 & ~unknown & ~BIT(VU_F_LOG_ALL);
	bool log = msg->payload.u64 & BIT(VU_F_LOG_ALL);
	int ret;

	if (unknown & TRANSPORT_FEATURES)
		return -EINVAL;
	/* QEMU adds bits of the device type which it emulates by itself. */
	if (unknown)
		dev_log(dev, VHOST_LOG_DEBUG, "features %#" PRIx64 " were not offered", unknown);
	ret = proto_accept_features(dev, features);
	if (ret)
		return ret;
	dev_log(dev, VHOST_LOG_DEBUG, "features %#" PRIx64 " negotiated", features);
	if (log == dev->log.on && features & BIT(VU_F_PROTOCOL_FEATURES))
		return 0;
	log_setup_switch(dev, log);
	if (!(features & BIT(VU_F_PROTOCOL_FEATURES)))
		proto_enable_all(dev);
	ring_setup_apply_all(dev, proto_finish);
	return PROTO_PENDING;
}

int proto_get_protocol_features(struct vhost_dev *dev, struct msg *msg)
{
	msg->payload.u64 = proto_features_offered(dev);
	return PROTO_REPLY;
}

/* Of two features one of which needs the other: whether that is there. */
static bool protocol_needs(uint64_t features, enum vu_protocol_feature bit,
			   enum vu_protocol_feature needed)
{
	return !(features & BIT(bit)) || features & BIT(needed);
}

static bool protocol_consistent(uint64_t f)
{
	return protocol_needs(f, VU_PROTOCOL_F_GET_VRING_BASE_INFLIGHT,
			      VU_PROTOCOL_F_INFLIGHT_SHMFD) &&
	       protocol_needs(f, VU_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN,
			      VU_PROTOCOL_F_GET_VRING_BASE_INFLIGHT) &&
	       protocol_needs(f, VU_PROTOCOL_F_INBAND_NOTIFICATIONS,
			      VU_PROTOCOL_F_BACKEND_REQ) &&
	       protocol_needs(f, VU_PROTOCOL_F_INBAND_NOTIFICATIONS, VU_PROTOCOL_F_REPLY_ACK);
}

int proto_set_protocol_features(struct vhost_dev *dev, struct msg *msg)
{
	uint64_t features = msg->payload.u64, changed = features ^ dev->protocol_features;

	if (features & ~proto_features_offered(dev) || !protocol_consistent(features))
		return -EINVAL;
	if (changed && ring_setup_any_started(dev))
		return -EBUSY;
	/* The regions there are have the addresses of the other kind. */
	if (changed & BIT(VU_PROTOCOL_F_GPA_ADDRESSES) && dev->mem.map)
		return -EBUSY;
	dev->protocol_features = features;
	return 0;
}

int proto_get_queue_num(struct vhost_dev *dev, struct msg *msg)
{
	msg->payload.u64 = dev->queue_num;
	return PROTO_REPLY;
}

int proto_set_owner(struct vhost_dev *dev, struct msg *msg)
{
	(void)dev, (void)msg;
	return 0;
}

/* Deprecated, and to be ignored: what old front-ends mean by it differs. */
int proto_reset_owner(struct vhost_dev *dev, struct msg *msg)
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

int proto_get_config(struct vhost_dev *dev, struct msg *msg)
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

int proto_set_config(struct vhost_dev *dev, struct msg *msg)
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

/* Messages which the table knows and no device of ours offers. */
int proto_unsupported(struct vhost_dev *dev, struct msg *msg)
{
	(void)dev, (void)msg;
	return -EOPNOTSUPP;
}

int proto_set_backend_req_fd(struct vhost_dev *dev, struct msg *msg)
{
	int fd, ret = proto_take_event_fd(msg, &fd);

	return ret ? ret : backend_open(dev, fd);
}

/*
 * Reset and status
 */

static void proto_reset_drained(struct vhost_dev *dev, int result)
{
	dev_reset(dev);
	proto_finish(dev, result);
}

int proto_reset_device(struct vhost_dev *dev, struct msg *msg)
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
int proto_set_status(struct vhost_dev *dev, struct msg *msg)
{
	if (msg->payload.u64 > UINT8_MAX)
		return -EINVAL;
	dev->status = (uint8_t)msg->payload.u64;
	return 0;
}

int proto_get_status(struct vhost_dev *dev, struct msg *msg)
{
	msg->payload.u64 = dev->status;
	if (dev->status && ring_setup_any_broken(dev))
		msg->payload.u64 |= VIRTIO_CONFIG_S_NEEDS_RESET;
	return PROTO_REPLY;
}
