/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers of messages which belong to certain device types: callbacks of the device answer
 * them, and where there is no callback the message is not offered.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MTU_MIN 68	/* VIRTIO 5.1.4.1 */

int proto_send_rarp(struct vhost_dev *dev, struct msg *msg)
{
	/* The address is the first six bytes of the u64 as they lie in memory. */
	return dev->ops.send_rarp(dev, msg->payload.bytes);
}

int proto_net_set_mtu(struct vhost_dev *dev, struct msg *msg)
{
	uint64_t mtu = msg->payload.u64;

	if (mtu < MTU_MIN || mtu > UINT16_MAX)
		return -EINVAL;
	return dev->ops.set_mtu(dev, (uint16_t)mtu);
}

/* The message's last eight bytes are the session's id, in the reply; before it are parameters. */
int proto_create_crypto_session(struct vhost_dev *dev, struct msg *msg)
{
	uint32_t len = msg->header.size - (uint32_t)sizeof(int64_t);
	int64_t id = 0;
	int ret = dev->ops.crypto_create(dev, msg->payload.bytes, len, &id);

	if (ret < 0)
		id = ret;
	else if (id < 0)
		id = -EINVAL;
	memcpy(msg->payload.bytes + len, &id, sizeof(id));
	return PROTO_REPLY;
}

int proto_close_crypto_session(struct vhost_dev *dev, struct msg *msg)
{
	return dev->ops.crypto_close(dev, msg->payload.u64);
}

int proto_gpu_set_socket(struct vhost_dev *dev, struct msg *msg)
{
	if (!dev->ops.gpu_socket)
		return -EOPNOTSUPP;
	return dev->ops.gpu_socket(dev, msg_take_fd(msg));
}

/* The reply has no payload; without an fd it says that there is no such object. */
int proto_get_shared_object(struct vhost_dev *dev, struct msg *msg)
{
	int fd = -ENOENT;

	if (msg->header.size == sizeof(msg->payload.shared))
		fd = dev->ops.shared_object(dev, msg->payload.shared.uuid);
	if (fd >= 0)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		proto_reply_fd(dev, fd);
	msg->header.size = 0;
	return PROTO_REPLY;
}

int proto_get_shmem_config(struct vhost_dev *dev, struct msg *msg)
{
	struct vu_shmem_config *c = &msg->payload.shmem;
	unsigned int i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < dev->shmem_count; i++) {
		c->sizes[i] = dev->shmem_sizes[i];
		c->num_regions += !!c->sizes[i];
	}
	msg->header.size = sizeof(*c);
	return PROTO_REPLY;
}
