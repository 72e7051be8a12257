/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Methods for devices whose request queues can be paused and slowed down: quiesce, resume, limits.
 *
 * What is to hold is posted to the workers, each does it to its queues, and it comes back when
 * all have: of a pause when their last request has ended.  One such thing is under way at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "util.h"

enum limits_task { LIMITS_NONE, LIMITS_PAUSE, LIMITS_RESUME, LIMITS_SET };

struct limits_part {
	struct vhost_work work;
	struct limits *limits;
	struct vhost_worker *worker;
	unsigned int left;		/* the worker's: its queues which are not yet paused; and 1 */
	int err;
};

struct limits {
	struct daemon_device *device;
	struct vhost_limit *limit;
	struct vhost_limit_params params;	/* in effect */
	bool on;			/* queues have the limit */
	bool paused;
	enum limits_task task;		/* under way */
	struct control_call *call;	/* which wants it; NULL: given up */
	unsigned int pending;		/* parts on their way */
	int err;
	struct limits_part parts[THREADS_MAX + 1];
};

/*
 * On a worker
 */

static void limits_back(struct vhost_work *work);

static void part_put(struct limits_part *part)
{
	if (--part->left)
		return;
	part->work.fn = limits_back;
	vhost_worker_post(daemon_control(part->limits->device), &part->work);
}

static void part_paused(struct vhost_queue *q, void *arg)
{
	(void)q;
	part_put(arg);
}

static void part_queue(struct limits_part *part, struct vhost_queue *q)
{
	struct limits *l = part->limits;
	int err = 0;

	switch (l->task) {
	case LIMITS_PAUSE:
		part->left++;
		vhost_queue_pause(q, part_paused, part);
		break;
	case LIMITS_RESUME:
		vhost_queue_resume(q);
		break;
	case LIMITS_SET:
		err = vhost_queue_set_limit(q, l->on ? l->limit : NULL);
		break;
	case LIMITS_NONE:
		break;
	}
	if (err)
		part->err = err;
}

static void limits_part(struct vhost_work *work)
{
	struct limits_part *part = container_of(work, struct limits_part, work);
	const struct daemon_device *device = part->limits->device;
	struct vhost_queue *q;
	unsigned int i;

	part->left = 1;
	part->err = 0;
	for (i = device->run->daemon->first_request; (q = vhost_dev_queue(device->dev, i)); i++)
		if (vhost_queue_worker(q) == part->worker)
			part_queue(part, q);
	part_put(part);
}

/*
 * On the control worker
 */

static struct json_object *limits_json(const struct limits *l)
{
	struct json_object *obj = json_object_new_object();

	json_add(obj, "iops", json_object_new_uint64(l->params.requests));
	json_add(obj, "iops-burst", json_object_new_uint64(l->params.requests_burst));
	json_add(obj, "bps", json_object_new_uint64(l->params.bytes));
	json_add(obj, "bps-burst", json_object_new_uint64(l->params.bytes_burst));
	return obj;
}

static void limits_back(struct vhost_work *work)
{
	struct limits_part *part = container_of(work, struct limits_part, work);
	struct limits *l = part->limits;
	bool set = l->task == LIMITS_SET;

	if (part->err)
		l->err = part->err;
	if (--l->pending)
		return;
	l->task = LIMITS_NONE;
	if (l->err)
		control_fail(l->call, "%s", strerror(-l->err));
	else
		control_reply(l->call, set ? limits_json(l) : NULL);
}

static void limits_post(struct limits *l, struct vhost_worker *worker)
{
	struct limits_part *part = &l->parts[l->pending++];

	part->limits = l;
	part->worker = worker;
	part->work.fn = limits_part;
	vhost_worker_post(worker, &part->work);
}

static void limits_start(struct limits *l, enum limits_task task, struct control_call *call)
{
	const struct daemon_device *device = l->device;
	unsigned int i;

	l->task = task;
	l->call = call;
	l->err = 0;
	limits_post(l, daemon_control(device));
	for (i = 0; i < device->num_workers; i++)
		limits_post(l, device->workers[i]);
}

/* What is under way has to end first; NULL, and the call is ended. */
static struct limits *limits_idle(struct control_call *call)
{
	struct limits *l = control_device(call)->limits;

	if (l->task == LIMITS_NONE)
		return l;
	control_fail(call, "another call of quiesce, resume or limits has not ended");
	return NULL;
}

static void method_quiesce(struct control_call *call, const void *values)
{
	struct limits *l = limits_idle(call);

	(void)values;
	if (!l)
		return;
	l->paused = true;
	limits_start(l, LIMITS_PAUSE, call);
}

static void method_resume(struct control_call *call, const void *values)
{
	struct limits *l = limits_idle(call);

	(void)values;
	if (!l)
		return;
	l->paused = false;
	limits_start(l, LIMITS_RESUME, call);
}

struct limits_params {
	uint64_t iops, iops_burst, bps, bps_burst;
};

#define FIELD(field) offsetof(struct limits_params, field)

static const struct option_def limits_params[] = {
	{ "iops", OPTION_SIZE, FIELD(iops), .max = UINT32_MAX,
	  .help = "requests a second; 0: no limit" },
	{ "iops-burst", OPTION_SIZE, FIELD(iops_burst), .max = UINT32_MAX,
	  .help = "so many at once after a pause; 0: those of 100 ms" },
	{ "bps", OPTION_SIZE, FIELD(bps), .max = INT64_MAX, .help = "bytes a second; 0: no limit" },
	{ "bps-burst", OPTION_SIZE, FIELD(bps_burst), .max = INT64_MAX,
	  .help = "so many at once after a pause; 0: those of 100 ms" },
	{ 0 }
};

#undef FIELD

/* What is not said stays as it is. */
static void limits_take(struct limits *l, const struct control_call *call,
			const struct limits_params *params)
{
	if (control_given(call, "iops"))
		l->params.requests = params->iops;
	if (control_given(call, "iops-burst"))
		l->params.requests_burst = params->iops_burst;
	if (control_given(call, "bps"))
		l->params.bytes = params->bps;
	if (control_given(call, "bps-burst"))
		l->params.bytes_burst = params->bps_burst;
	l->params.overhead = l->device->run->daemon->overhead;
	l->on = l->params.requests || l->params.bytes;
	vhost_limit_set(l->limit, &l->params);
}

static void method_limits(struct control_call *call, const void *values)
{
	struct limits *l = limits_idle(call);

	if (!l)
		return;
	if (!control_given(call, "iops") && !control_given(call, "iops-burst") &&
	    !control_given(call, "bps") && !control_given(call, "bps-burst")) {
		control_reply(call, limits_json(l));
		return;
	}
	limits_take(l, call, values);
	limits_start(l, LIMITS_SET, call);
}

const struct control_method limits_methods[] = {
	{ "quiesce", "serve no more requests; answered when those in work have ended",
	  .fn = method_quiesce },
	{ "resume", "serve requests again", .fn = method_resume },
	{ "limits", "how fast requests may be, or are to be", CONTROL_DEVICE, limits_params,
	  sizeof(struct limits_params), .fn = method_limits },
	{ 0 }
};

bool limits_paused(const struct daemon_device *device)
{
	return device->limits && device->limits->paused;
}

/*
 * Life
 */

int limits_new(struct daemon_device *device)
{
	struct limits *l;
	int ret;

	if (!device->run->daemon->pauses)
		return 0;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	device->limits = l;
	l->device = device;
	ret = vhost_limit_new(&l->limit);
	return ret;
}

static void limits_leave(void *arg)
{
	vhost_queue_set_limit(arg, NULL);
}

void limits_release(struct daemon_device *device)
{
	struct vhost_queue *q;
	unsigned int i;

	if (!device->limits || !device->limits->on)
		return;
	for (i = 0; (q = vhost_dev_queue(device->dev, i)); i++)
		if (vhost_queue_worker(q))
			vhost_worker_call(vhost_queue_worker(q), limits_leave, q);
}

void limits_free(struct daemon_device *device)
{
	if (device->limits && device->limits->limit)
		vhost_limit_free(device->limits->limit);
	free(device->limits);
	device->limits = NULL;
}
