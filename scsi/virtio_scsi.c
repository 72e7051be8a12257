/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-scsi: requests of the driver become commands and task management functions, and what
 * happens to units becomes events.
 *
 * The control and the event queue belong to the control worker, as units do; request queues
 * to any worker, which has one nexus for all of its queues.  A command lives in its request's
 * private bytes, and its data is where the guest has it.  Where header and response end within
 * the request depends on two fields of the config space, which the driver may write; a
 * request keeps to what they were when it was taken.
 *
 * Used length (VIRTIO 2.7.8.2): the response comes first and is always written in full,
 * data follows from its start on.
 */
#include "scsi/virtio_queue.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_scsi.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* Requests taken at a time; scsi_commit() comes once for all of them. */
#define VS_BATCH 32

/* Of the config space; the second and third as QEMU has them. */
#define VS_SEG_MAX	126u
#define VS_MAX_SECTORS	0xffffu
#define VS_CMD_PER_LUN	128u

/* What the driver may set the sizes of CDB and sense to: SPC-4 knows no larger ones. */
#define VS_CDB_MIN	6u
#define VS_CDB_LIMIT	260u
#define VS_SENSE_LIMIT	252u

/* Bytes before the CDB and before the sense data. */
#define VS_HEADER	offsetof(struct virtio_scsi_cmd_req, cdb)
#define VS_RESPONSE	offsetof(struct virtio_scsi_cmd_resp, sense)

/* A request's private bytes. */
struct vs_cmd {
	struct scsi_cmd cmd;
	struct vhost_req *req;
	size_t response;		/* bytes, with sense data */
	struct iovec *copy;		/* of one direction, when both need a slice; else NULL */
};

static unsigned int vs_size(const atomic_uint *size)
{
	return atomic_load_explicit(size, memory_order_relaxed);
}

void vs_malformed(struct vhost_req *req)
{
	vs_queue(req->queue)->stats.malformed++;
	vhost_req_push(req, 0);
}

/*
 * Commands
 */

static uint32_t vs_residual(const struct scsi_cmd *cmd)
{
	return (uint32_t)(cmd->out_len + cmd->in_len - cmd->transferred);
}

/* The end: response, sense data, and how much of the data there is. */
static void vs_respond(struct vs_cmd *vc, uint8_t code)
{
	const struct scsi_cmd *cmd = &vc->cmd;
	struct {
		struct virtio_scsi_cmd_resp head;
		uint8_t more[VS_SENSE_LIMIT - VIRTIO_SCSI_SENSE_SIZE];
	} response;
	size_t sense = MIN(cmd->sense_len, vc->response - VS_RESPONSE);

	memset(&response, 0, vc->response);
	response.head.sense_len = htole32((uint32_t)sense);
	response.head.resid = htole32(vs_residual(cmd));
	response.head.status = (uint8_t)cmd->status;
	response.head.response = code;
	memcpy(response.head.sense, cmd->sense, sense);
	vhost_req_write(vc->req, 0, &response, vc->response);
	free(vc->copy);
	vhost_req_push(vc->req, vc->response + (cmd->out_len ? 0 : cmd->transferred));
}

/* It ends before it has begun. */
static void vs_refuse(struct vs_cmd *vc, uint8_t code)
{
	vc->cmd.status = SCSI_GOOD;
	vc->cmd.sense_len = vc->cmd.transferred = 0;
	vs_respond(vc, code);
}

static void vs_note(struct virtio_scsi_stats *stats, const struct scsi_cmd *cmd)
{
	enum virtio_scsi_kind kind = cmd->out_len ? VIRTIO_SCSI_DATA_OUT :
				     cmd->in_len ? VIRTIO_SCSI_DATA_IN : VIRTIO_SCSI_NO_DATA;

	if (unlikely(cmd->outcome != SCSI_DONE)) {
		stats->failed++;
	} else if (unlikely(cmd->status != SCSI_GOOD)) {
		stats->refused++;
	} else {
		stats->commands[kind]++;
		stats->bytes[kind] += cmd->transferred;
	}
}

static void vs_tell_error(struct vhost_queue *q, const struct scsi_cmd *cmd)
{
	const struct virtio_scsi *vs = vhost_queue_opaque(q);

	/* What the storage cannot do at all is no news. */
	if (vs->io_error && cmd->error != -EOPNOTSUPP)
		vs->io_error(vs->arg, q, cmd);
}

static void vs_done(struct scsi_cmd *cmd)
{
	static const uint8_t codes[] = {
		[SCSI_DONE] = VIRTIO_SCSI_S_OK,
		[SCSI_NO_TARGET] = VIRTIO_SCSI_S_BAD_TARGET,
		[SCSI_ABORTED] = VIRTIO_SCSI_S_ABORTED,
		[SCSI_RESET] = VIRTIO_SCSI_S_RESET,
		[SCSI_OVERRUN] = VIRTIO_SCSI_S_OVERRUN,
	};
	struct vs_cmd *vc = container_of(cmd, struct vs_cmd, cmd);

	vs_note(&vs_queue(vc->req->queue)->stats, cmd);
	if (unlikely(cmd->error))
		vs_tell_error(vc->req->queue, cmd);
	if (unlikely(cmd->outcome != SCSI_DONE)) {
		cmd->status = SCSI_GOOD;
		cmd->sense_len = cmd->transferred = 0;
	}
	vs_respond(vc, codes[cmd->outcome]);
}

/* Of both directions only one can be a slice at a time; the other one is copied. */
static int vs_copy_out(struct vs_cmd *vc)
{
	size_t size = vc->cmd.out_cnt * sizeof(*vc->copy);

	vc->copy = malloc(size);
	if (!vc->copy)
		return -ENOMEM;
	memcpy(vc->copy, vc->cmd.out, size);
	vc->cmd.out = vc->copy;
	return 0;
}

static int vs_find_data(struct vs_cmd *vc, size_t header)
{
	struct vhost_req *req = vc->req;
	struct scsi_cmd *cmd = &vc->cmd;

	cmd->out = cmd->in = NULL;
	cmd->out_cnt = cmd->in_cnt = 0;
	if (cmd->out_len) {
		cmd->out = vhost_req_slice(req, VHOST_OUT, header, cmd->out_len, &cmd->out_cnt);
		if (!cmd->out || (cmd->in_len && vs_copy_out(vc)))
			return -ENOMEM;
	}
	if (cmd->in_len) {
		cmd->in = vhost_req_slice(req, VHOST_IN, vc->response, cmd->in_len, &cmd->in_cnt);
		if (!cmd->in)
			return -ENOMEM;
	}
	return 0;
}

static void vs_begin(struct vs_queue *vq, struct vhost_req *req)
{
	unsigned int cdb_size = vs_size(&vq->vs->cdb_size);
	size_t header = VS_HEADER + cdb_size;
	struct vs_cmd *vc = req->priv;
	struct scsi_cmd *cmd = &vc->cmd;
	struct virtio_scsi_cmd_req head;

	vc->response = VS_RESPONSE + vs_size(&vq->vs->sense_size);
	if (req->out_len < header || req->in_len < vc->response) {
		vs_malformed(req);
		return;
	}
	if (unlikely(header < sizeof(head)))
		memset(head.cdb, 0, sizeof(head.cdb));
	vhost_req_read(req, 0, &head, MIN(sizeof(head), header));
	vc->req = req;
	vc->copy = NULL;
	memcpy(cmd->cdb, head.cdb, sizeof(cmd->cdb));
	cmd->tag = le64toh(head.tag);
	cmd->attr = (enum scsi_attr)head.task_attr;
	cmd->out_len = req->out_len - header;
	cmd->in_len = req->in_len - vc->response;
	cmd->initiator = 0;
	cmd->done = vs_done;
	if (!virtio_scsi_get_address(&cmd->address, head.lun))
		vs_refuse(vc, VIRTIO_SCSI_S_BAD_TARGET);
	else if (head.task_attr > VIRTIO_SCSI_S_ACA ||
		 (cmd->out_len && cmd->in_len && !(vq->features & BIT(VIRTIO_SCSI_F_INOUT))))
		vs_refuse(vc, VIRTIO_SCSI_S_FAILURE);
	else if (vs_find_data(vc, header))
		vs_refuse(vc, VIRTIO_SCSI_S_BUSY);
	else
		scsi_submit(vq->via->nexus, cmd);
}

static void vs_kick_requests(struct vhost_queue *q)
{
	struct vs_queue *vq = vs_queue(q);
	struct vhost_req *reqs[VS_BATCH];
	unsigned int i, n;

	do {
		n = vhost_queue_pop(q, reqs, VS_BATCH);
		for (i = 0; i < n; i++)
			vs_begin(vq, reqs[i]);
		if (n)
			scsi_commit(vq->via->nexus);
	} while (n == VS_BATCH);
}

/*
 * Queues
 */

static void vs_kick(struct vhost_queue *q)
{
	switch (vhost_queue_index(q)) {
	case VIRTIO_SCSI_QUEUE_CONTROL:
		vs_kick_control(q);
		break;
	case VIRTIO_SCSI_QUEUE_EVENT:
		vs_kick_events(q);
		break;
	default:
		vs_kick_requests(q);
	}
}

static int vs_queue_start(struct vhost_queue *q)
{
	struct vs_queue *vq = vs_queue(q);

	vq->features = vhost_dev_features(vhost_queue_dev(q));
	if (!vq->via || vq->via->nexus)
		return 0;
	/* It stays open from front-end to front-end. */
	vq->via->worker = vhost_queue_worker(q);
	return scsi_nexus_open(vq->vs->target, vq->via->worker, &vq->via->nexus);
}

static void vs_queue_stop(struct vhost_queue *q)
{
	if (vhost_queue_index(q) == VIRTIO_SCSI_QUEUE_EVENT)
		vs_return_events(vhost_queue_opaque(q), q);
}

/*
 * Control
 */

/* The driver may set the two sizes, one or both. */
static int vs_set_config(struct vhost_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	const uint32_t start = offsetof(struct virtio_scsi_config, sense_size);
	const uint32_t end = offsetof(struct virtio_scsi_config, max_channel);
	struct virtio_scsi *vs = vhost_dev_opaque(dev);
	uint32_t sizes[2] = { vs_size(&vs->sense_size), vs_size(&vs->cdb_size) }, i;

	if (off < start || off >= end || len > end - off || off % 4 || len % 4)
		return -EINVAL;
	for (i = 0; i < len / 4; i++) {
		uint32_t value;

		memcpy(&value, (const uint8_t *)buf + 4 * i, sizeof(value));
		sizes[(off - start) / 4 + i] = le32toh(value);
	}
	if (sizes[0] > VS_SENSE_LIMIT || sizes[1] < VS_CDB_MIN || sizes[1] > VS_CDB_LIMIT)
		return -EINVAL;
	atomic_store_explicit(&vs->sense_size, sizes[0], memory_order_relaxed);
	atomic_store_explicit(&vs->cdb_size, sizes[1], memory_order_relaxed);
	return 0;
}

static void vs_reset(struct vhost_dev *dev)
{
	struct virtio_scsi *vs = vhost_dev_opaque(dev);

	atomic_store_explicit(&vs->sense_size, VIRTIO_SCSI_SENSE_SIZE, memory_order_relaxed);
	atomic_store_explicit(&vs->cdb_size, VIRTIO_SCSI_CDB_SIZE, memory_order_relaxed);
	vs->missed = false;
	scsi_target_reset(vs->target);
}

static void vs_connection(struct vhost_dev *dev, bool up)
{
	struct virtio_scsi *vs = vhost_dev_opaque(dev);

	if (vs->connection)
		vs->connection(vs->arg, up);
}

static const struct vhost_dev_ops vs_ops = {
	.kick = vs_kick,
	.queue_start = vs_queue_start,
	.queue_stop = vs_queue_stop,
	.set_config = vs_set_config,
	.connection = vs_connection,
	.reset = vs_reset,
};

/*
 * Life
 */

static void vs_fill_config(struct virtio_scsi_config *config,
			   const struct virtio_scsi_params *params)
{
	uint32_t seg_max = params->queue_size > 2 ? params->queue_size - 2 : VS_SEG_MAX;

	*config = (struct virtio_scsi_config){
		.num_queues = htole32(params->queues),
		/* What a request can have with an indirect table, whatever the ring. */
		.seg_max = htole32(MIN(seg_max, 1022)),
		.max_sectors = htole32(VS_MAX_SECTORS),
		.cmd_per_lun = htole32(VS_CMD_PER_LUN),
		.event_info_size = htole32(sizeof(struct virtio_scsi_event)),
		.sense_size = htole32(VIRTIO_SCSI_SENSE_SIZE),
		.cdb_size = htole32(VIRTIO_SCSI_CDB_SIZE),
		.max_target = htole16(SCSI_TARGETS_MAX - 1),
		.max_lun = htole32(SCSI_LUNS_MAX - 1),
	};
}

static int vs_new_dev(struct virtio_scsi *vs, const struct virtio_scsi_params *params)
{
	struct virtio_scsi_config config;
	struct vhost_dev_params p = {
		.name = params->name,
		.features = BIT(VIRTIO_SCSI_F_INOUT) | BIT(VIRTIO_SCSI_F_HOTPLUG) |
			    BIT(VIRTIO_SCSI_F_CHANGE),
		.queues = vs->num_queues,
		.queue_num = params->queues,
		.queue_size_max = params->queue_size,
		.config = &config,
		.config_len = sizeof(config),
		.req_priv = MAX(sizeof(struct vs_cmd), sizeof(struct vs_tmf)),
		.flags = params->flags,
		.features_off = params->features_off,
	};

	vs_fill_config(&config, params);
	return vhost_dev_new(&vs->dev, &vs_ops, &p, vs);
}

/* Control and event queue go to the control worker, request queues to the others in turn. */
static int vs_bind(struct virtio_scsi *vs, const struct virtio_scsi_params *params)
{
	struct vhost_worker *workers[VIRTIO_SCSI_QUEUES_MAX + VIRTIO_SCSI_QUEUE_REQUEST];
	unsigned int i;

	for (i = 0; i < vs->num_queues; i++) {
		struct vs_via *via = vs->queues[i].via;

		workers[i] = via && params->num_workers ? params->workers[via - vs->vias] :
							  params->control;
	}
	return vhost_dev_bind(vs->dev, workers, vs->num_queues);
}

static int vs_new_queues(struct virtio_scsi *vs, const struct virtio_scsi_params *params)
{
	unsigned int i;

	vs->num_queues = VIRTIO_SCSI_QUEUE_REQUEST + params->queues;
	vs->num_vias = params->num_workers ? params->num_workers : 1;
	vs->vias = calloc(vs->num_vias, sizeof(vs->vias[0]));
	vs->queues = calloc(vs->num_queues, sizeof(vs->queues[0]));
	if (!vs->vias || !vs->queues)
		return -ENOMEM;
	for (i = 0; i < vs->num_queues; i++) {
		vs->queues[i].vs = vs;
		if (i >= VIRTIO_SCSI_QUEUE_REQUEST)
			vs->queues[i].via =
				&vs->vias[(i - VIRTIO_SCSI_QUEUE_REQUEST) % vs->num_vias];
	}
	return 0;
}

int virtio_scsi_new(struct virtio_scsi **result, const struct virtio_scsi_params *params)
{
	const struct scsi_target_ops ops = { .event = vs_event };
	struct virtio_scsi *vs;
	int ret;

	if (!params->queues || params->queues > VIRTIO_SCSI_QUEUES_MAX)
		return -EINVAL;
	vs = calloc(1, sizeof(*vs));
	if (!vs)
		return -ENOMEM;
	vs->control = params->control;
	vs->arg = params->arg;
	vs->connection = params->connection;
	vs->io_error = params->io_error;
	vs->last_event = &vs->events;
	atomic_init(&vs->cdb_size, VIRTIO_SCSI_CDB_SIZE);
	atomic_init(&vs->sense_size, VIRTIO_SCSI_SENSE_SIZE);
	ret = vs_new_queues(vs, params);
	if (!ret)
		ret = scsi_target_new(&vs->target, params->control, &ops, vs);
	if (!ret)
		ret = vs_new_dev(vs, params);
	if (!ret)
		ret = vs_bind(vs, params);
	if (ret) {
		virtio_scsi_free(vs);
		return ret;
	}
	*result = vs;
	return 0;
}

struct vhost_dev *virtio_scsi_dev(const struct virtio_scsi *vs)
{
	return vs->dev;
}

struct scsi_target *virtio_scsi_target(const struct virtio_scsi *vs)
{
	return vs->target;
}

static void vs_close_nexus(void *arg)
{
	struct vs_via *via = arg;

	scsi_nexus_close(via->nexus);
}

void virtio_scsi_free(struct virtio_scsi *vs)
{
	unsigned int i;

	for (i = 0; vs->vias && i < vs->num_vias; i++)
		if (vs->vias[i].nexus)
			vhost_worker_call(vs->vias[i].worker, vs_close_nexus, &vs->vias[i]);
	if (vs->dev)
		vhost_dev_free(vs->dev);
	if (vs->target)
		scsi_target_free(vs->target);
	free(vs->vias);
	free(vs->queues);
	free(vs);
}

void virtio_scsi_stats(const struct virtio_scsi *vs, unsigned int queue,
		       struct virtio_scsi_stats *stats)
{
	*stats = vs->queues[queue].stats;
}
