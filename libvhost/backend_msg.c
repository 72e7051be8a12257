/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages to the front-end, on the socket of SET_BACKEND_REQ_FD.
 *
 * Nothing here waits: QEMU does not read this socket while it waits for a reply on the
 * other one.  No message asks for an acknowledgement, so there is nothing to
 * receive but the end.
 */
#include <errno.h>
#include <event2/event.h>

#include "internal.h"

void backend_close(struct vhost_dev *dev)
{
	if (dev->backend_ev)
		event_free(dev->backend_ev);
	dev->backend_ev = NULL;
	close_fd(&dev->backend_fd);
}

/* Something to read: the end, or what nobody has asked for.  Neither ends the session. */
static void backend_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	backend_close(arg);
}

int backend_open(struct vhost_dev *dev, int fd)
{
	backend_close(dev);
	dev->backend_fd = fd;
	dev->backend_ev = event_new(vhost_worker_base(dev->control), fd, EV_READ,
				    backend_event, dev);
	if (!dev->backend_ev || event_add(dev->backend_ev, NULL)) {
		backend_close(dev);
		return -EINVAL;
	}
	return 0;
}

void backend_config_changed(struct vhost_dev *dev)
{
	struct msg_stream out = {
		.msg.header = { VU_BACKEND_CONFIG_CHANGE_MSG, VU_VERSION, 0 },
	};

	dev->config_changed = true;
	/* A suspended device must keep quiet ("Suspended device state"). */
	if (dev->backend_fd < 0 || !ring_setup_any_started(dev) ||
	    !dev_has_protocol(dev, VU_PROTOCOL_F_CONFIG))
		return;
	/* A full socket holds such a message already: none is lost. */
	if (msg_send(&out, dev->backend_fd) && !out.done)
		return;
	dev->config_changed = false;
}

int vhost_dev_shared_object_add(struct vhost_dev *dev, const uint8_t uuid[16])
{
	(void)dev, (void)uuid;
	return -ENOTCONN;
}

int vhost_dev_shared_object_remove(struct vhost_dev *dev, const uint8_t uuid[16])
{
	(void)dev, (void)uuid;
	return -ENOTCONN;
}

int vhost_dev_shared_object_lookup(struct vhost_dev *dev, const uint8_t uuid[16],
				   void (*done)(void *arg, int result), void *arg)
{
	(void)dev, (void)uuid, (void)done, (void)arg;
	return -ENOTCONN;
}

int vhost_dev_shmem_map(struct vhost_dev *dev, const struct vhost_shmem_map *map,
			void (*done)(void *arg, int result), void *arg)
{
	(void)dev, (void)map, (void)done, (void)arg;
	return -ENOTCONN;
}

int vhost_dev_shmem_unmap(struct vhost_dev *dev, const struct vhost_shmem_map *map,
			  void (*done)(void *arg, int result), void *arg)
{
	(void)dev, (void)map, (void)done, (void)arg;
	return -ENOTCONN;
}

int vhost_dev_host_notifier(struct vhost_dev *dev, unsigned int i, int fd, uint64_t offset)
{
	(void)dev, (void)i, (void)fd, (void)offset;
	return -ENOTCONN;
}
