/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event queue of virtio-scsi (VIRTIO 5.6.6.3).
 *
 * Its buffers are popped as they come and held until there is an event.  When there is none to
 * hold it, the event is lost, and the driver told with the next one, or as soon as it brings a
 * buffer.
 */
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_scsi.h>

#include "scsi/virtio_queue.h"
#include "util.h"

/* A buffer, or NULL; those which are too small are given back. */
static struct vhost_req *vs_take_event(struct virtio_scsi *vs)
{
	struct vs_event *ve;

	while ((ve = vs->events)) {
		vs->events = ve->next;
		if (!vs->events)
			vs->last_event = &vs->events;
		if (ve->req->in_len >= sizeof(struct virtio_scsi_event))
			return ve->req;
		vs_malformed(ve->req);
	}
	return NULL;
}

static void vs_send_event(struct virtio_scsi *vs, const struct virtio_scsi_event *like)
{
	struct vhost_req *req = vs_take_event(vs);
	struct virtio_scsi_event event = *like;

	if (!req) {
		vs->missed = true;
		return;
	}
	if (vs->missed)
		event.event |= htole32(VIRTIO_SCSI_T_EVENTS_MISSED);
	vs->missed = false;
	vhost_req_write(req, 0, &event, sizeof(event));
	vhost_req_push(req, sizeof(event));
}

/*
 * Whether the driver wants such events.  QEMU's vhost-user-scsi-pci (7.2 and those since) tells
 * us of HOTPLUG only, of all that its driver has chosen; it is known by telling of no VERSION_1
 * either.  A driver which did not choose CHANGE has to ignore what it does not know.
 */
static bool vs_wants(const struct virtio_scsi *vs, uint32_t event)
{
	uint64_t features = vhost_dev_features(vs->dev);

	if (event != VIRTIO_SCSI_T_PARAM_CHANGE || !(features & BIT(VIRTIO_F_VERSION_1)))
		return features & BIT(VIRTIO_SCSI_F_HOTPLUG);
	return features & BIT(VIRTIO_SCSI_F_CHANGE);
}

void vs_event(void *arg, const struct scsi_address *address, uint32_t event, uint32_t reason)
{
	struct virtio_scsi *vs = arg;
	struct virtio_scsi_event e = { .event = htole32(event), .reason = htole32(reason) };

	/* A driver which has not come so far will see by itself what there is. */
	if (!vs_wants(vs, event))
		return;
	virtio_scsi_put_address(e.lun, address);
	vs_send_event(vs, &e);
}

void vs_kick_events(struct vhost_queue *q)
{
	static const struct virtio_scsi_event none;	/* VIRTIO_SCSI_T_NO_EVENT */
	struct virtio_scsi *vs = vhost_queue_opaque(q);
	struct vhost_req *req;

	while (vhost_queue_pop(q, &req, 1)) {
		struct vs_event *ve = req->priv;

		*ve = (struct vs_event){ .req = req };
		*vs->last_event = ve;
		vs->last_event = &ve->next;
	}
	if (vs->missed && vs->events)
		vs_send_event(vs, &none);
}

void vs_return_events(struct virtio_scsi *vs, struct vhost_queue *q)
{
	vs->events = NULL;
	vs->last_event = &vs->events;
	/* All that is outstanding is held by us. */
	vhost_queue_unpop(q, vhost_queue_outstanding(q));
}
