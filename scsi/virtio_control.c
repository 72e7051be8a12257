/* SPDX-License-Identifier: BSD-3-Clause */
/* The control queue of virtio-scsi (VIRTIO 5.6.6.2): task management functions. */
#include <endian.h>
#include <linux/virtio_scsi.h>

#include "scsi/virtio_queue.h"
#include "util.h"

static void vs_tmf_done(struct scsi_tmf_request *tmf, enum scsi_tmf_response response)
{
	struct vs_tmf *vt = container_of(tmf, struct vs_tmf, tmf);
	const struct virtio_scsi_ctrl_tmf_resp resp = { .response = (uint8_t)response };

	vhost_req_write(vt->req, 0, &resp, sizeof(resp));
	vhost_req_push(vt->req, sizeof(resp));
}

static void vs_begin_tmf(struct virtio_scsi *vs, struct vhost_req *req)
{
	struct virtio_scsi_ctrl_tmf_req head;
	struct vs_tmf *vt = req->priv;
	uint32_t subtype;

	if (vhost_req_read(req, 0, &head, sizeof(head)) < sizeof(head) || !req->in_len) {
		vs_malformed(req);
		return;
	}
	subtype = le32toh(head.subtype);
	vt->req = req;
	vt->tmf = (struct scsi_tmf_request){
		.function = (enum scsi_tmf)subtype,
		.tag = le64toh(head.tag),
		.done = vs_tmf_done,
	};
	if (!virtio_scsi_get_address(&vt->tmf.address, head.lun))
		vs_tmf_done(&vt->tmf, SCSI_TMF_BAD_TARGET);
	else
		scsi_tmf(vs->target, &vt->tmf);
}

/* Nothing here happens which a driver could ask to be told about: units have no such events. */
static void vs_begin_an(struct virtio_scsi *vs, struct vhost_req *req)
{
	struct virtio_scsi_ctrl_an_resp resp = { .response = VIRTIO_SCSI_S_BAD_TARGET };
	struct virtio_scsi_ctrl_an_req head;
	struct scsi_address address;

	if (vhost_req_read(req, 0, &head, sizeof(head)) < sizeof(head) ||
	    req->in_len < sizeof(resp)) {
		vs_malformed(req);
		return;
	}
	if (virtio_scsi_get_address(&address, head.lun))
		resp.response = (uint8_t)scsi_target_knows(vs->target, &address);
	vhost_req_write(req, 0, &resp, sizeof(resp));
	vhost_req_push(req, sizeof(resp));
}

static void vs_begin_control(struct virtio_scsi *vs, struct vhost_req *req)
{
	uint32_t type;

	if (vhost_req_read(req, 0, &type, sizeof(type)) < sizeof(type))
		type = UINT32_MAX;
	switch (le32toh(type)) {
	case VIRTIO_SCSI_T_TMF:
		vs_begin_tmf(vs, req);
		break;
	case VIRTIO_SCSI_T_AN_QUERY:
	case VIRTIO_SCSI_T_AN_SUBSCRIBE:
		vs_begin_an(vs, req);
		break;
	default:
		vs_malformed(req);
	}
}

void vs_kick_control(struct vhost_queue *q)
{
	struct virtio_scsi *vs = vhost_queue_opaque(q);
	struct vhost_req *req;

	while (vhost_queue_pop(q, &req, 1))
		vs_begin_control(vs, req);
}
