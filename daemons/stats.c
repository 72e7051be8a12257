/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics of the queues, gathered from their workers.
 *
 * Each counter is written by one worker, with nothing but an increment, and copied by that same
 * worker when somebody asks: work is posted to each of them, and comes back.  Who asks while that
 * is under way gets what comes back next time.  A reset changes no counter: what they were is
 * subtracted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "json.h"
#include "util.h"

/* A worker's part of the work: its queues, whichever device they are of. */
struct stats_part {
	struct vhost_work work;
	struct stats *stats;
	struct vhost_worker *worker;
};

struct stats_request {
	struct stats_request *next;
	void (*done)(struct daemon_run *run, void *arg);
	void *arg;
};

struct stats_device {
	unsigned int queues;
	struct stats_queue *now, *base;	/* [queues]; a worker has its own of now meanwhile */
	struct vhost_dev_stats dev_base;
};

struct stats {
	struct daemon_run *run;
	unsigned int pending;		/* parts on their way */
	struct stats_part *parts;	/* [1 + run->num_workers] */
	struct stats_request *served;	/* by these parts */
	struct stats_request *waiting;	/* for the next ones */
};

/* On the queue's worker. */
static void stats_read_queue(struct daemon_device *device, unsigned int i)
{
	struct vhost_queue *q = vhost_dev_queue(device->dev, i);
	const struct daemon *d = device->run->daemon;
	struct stats_queue *sq = &device->stats->now[i];

	vhost_queue_stats(q, &sq->common);
	vhost_queue_latency(q, &sq->latency);
	sq->size = vhost_queue_size(q);
	sq->enabled = vhost_queue_enabled(q);
	sq->outstanding = vhost_queue_outstanding(q);
	if (d->queue_stats)
		d->queue_stats(device, i, sq->own);
}

static void stats_read_device(struct daemon_device *device, const struct vhost_worker *worker)
{
	unsigned int i;

	for (i = 0; i < device->stats->queues; i++)
		if (vhost_queue_worker(vhost_dev_queue(device->dev, i)) == worker)
			stats_read_queue(device, i);
}

static void stats_start(struct stats *s);

static void stats_finish(struct stats *s)
{
	struct stats_request *request;

	while ((request = s->served)) {
		s->served = request->next;
		request->done(s->run, request->arg);
		free(request);
	}
	if (s->waiting)
		stats_start(s);
}

static void stats_back(struct vhost_work *work)
{
	struct stats *s = container_of(work, struct stats_part, work)->stats;

	if (!--s->pending)
		stats_finish(s);
}

/* On a worker: its queues. */
static void stats_read(struct vhost_work *work)
{
	struct stats_part *part = container_of(work, struct stats_part, work);
	struct daemon_run *run = part->stats->run;
	struct daemon_device *device;

	for_each_device(device, run)
		stats_read_device(device, part->worker);
	part->work.fn = stats_back;
	vhost_worker_post(run->control, &part->work);
}

static void stats_post(struct stats *s, struct vhost_worker *worker)
{
	struct stats_part *part = &s->parts[s->pending++];

	part->stats = s;
	part->worker = worker;
	part->work.fn = stats_read;
	vhost_worker_post(worker, &part->work);
}

static void stats_start(struct stats *s)
{
	unsigned int i;

	s->served = s->waiting;
	s->waiting = NULL;
	stats_post(s, s->run->control);
	for (i = 0; i < s->run->num_workers; i++)
		stats_post(s, s->run->workers[i]);
}

int stats_ask(struct daemon_run *run, void (*done)(struct daemon_run *run, void *arg), void *arg)
{
	struct stats *s = run->stats;
	struct stats_request *request = calloc(1, sizeof(*request));

	if (!request)
		return -ENOMEM;
	request->done = done;
	request->arg = arg;
	request->next = s->waiting;
	s->waiting = request;
	if (!s->pending)
		stats_start(s);
	return 0;
}

unsigned int stats_queues(const struct daemon_device *device)
{
	return device->stats->queues;
}

const struct stats_queue *stats_queue(const struct daemon_device *device, unsigned int i)
{
	return &device->stats->now[i];
}

uint64_t stats_outstanding(const struct daemon_device *device)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < device->stats->queues; i++)
		sum += device->stats->now[i].outstanding;
	return sum;
}

void stats_reset(struct daemon_device *device)
{
	struct stats_device *s = device->stats;

	memcpy(s->base, s->now, s->queues * sizeof(s->now[0]));
	vhost_dev_stats(device->dev, &s->dev_base);
}

/*
 * As JSON
 */

/* What every queue counts. */
#define COMMON(field, help) { #field, offsetof(struct vhost_queue_stats, field), help }

const struct stats_common stats_common[] = {
	COMMON(requests, "taken from the ring"),
	COMMON(kicks, "notifications from the driver"),
	COMMON(signals, "notifications of the driver"),
	COMMON(suppressed, "publications which needed none"),
	COMMON(poll_hits, "busy polls which found requests"),
	COMMON(poll_misses, "busy polls which found none"),
	COMMON(breaks, "times that the ring made no sense"),
	{ 0 }
};

#undef COMMON

static void stats_add_number(struct json_object *obj, const char *key, uint64_t value)
{
	json_add(obj, key, json_object_new_uint64(value));
}

uint64_t stats_common_value(const struct stats_queue *sq, const struct stats_common *row)
{
	uint64_t value;

	memcpy(&value, (const char *)&sq->common + row->offset, sizeof(value));
	return value;
}

/* In ns, what this share of the requests did not exceed: the end of a bucket. */
static uint64_t stats_quantile(const uint64_t *count, double share)
{
	uint64_t total = 0, seen = 0;
	unsigned int i;

	for (i = 0; i < VHOST_LATENCY_BUCKETS; i++)
		total += count[i];
	for (i = 0; total && i < VHOST_LATENCY_BUCKETS; i++) {
		seen += count[i];
		if ((double)seen >= share * (double)total)
			return BIT(i);
	}
	return 0;
}

static void stats_add_latency(struct json_object *obj, const struct stats_queue *now,
			      const struct stats_queue *base)
{
	struct json_object *buckets = json_object_new_array();
	uint64_t count[VHOST_LATENCY_BUCKETS];
	unsigned int i;

	for (i = 0; i < VHOST_LATENCY_BUCKETS; i++) {
		count[i] = now->latency.count[i] - base->latency.count[i];
		json_object_array_add(buckets, json_object_new_uint64(count[i]));
	}
	stats_add_number(obj, "oldest_ns", now->latency.oldest);
	stats_add_number(obj, "p50_ns", stats_quantile(count, 0.5));
	stats_add_number(obj, "p99_ns", stats_quantile(count, 0.99));
	stats_add_number(obj, "latency_sum_ns", now->latency.sum - base->latency.sum);
	json_add(obj, "latency_log2_ns", buckets);
}

static struct json_object *stats_queue_json(const struct daemon_device *device, unsigned int i)
{
	const struct stats_queue *now = &device->stats->now[i], *base = &device->stats->base[i];
	const char *const *name = device->run->daemon->counters;
	struct json_object *obj = json_object_new_object();
	const struct stats_common *row;
	unsigned int n;

	stats_add_number(obj, "queue", i);
	stats_add_number(obj, "size", now->size);
	json_add(obj, "enabled", json_object_new_boolean(now->enabled));
	stats_add_number(obj, "outstanding", now->outstanding);
	for (row = stats_common; row->name; row++)
		stats_add_number(obj, row->name,
				 stats_common_value(now, row) - stats_common_value(base, row));
	for (n = 0; name && name[n]; n++)
		stats_add_number(obj, name[n], now->own[n] - base->own[n]);
	stats_add_latency(obj, now, base);
	return obj;
}

static struct json_object *stats_device_json(const struct daemon_device *device)
{
	struct json_object *obj = json_object_new_object();
	const struct vhost_dev_stats *base = &device->stats->dev_base;
	struct vhost_dev_stats now;

	vhost_dev_stats(device->dev, &now);
	stats_add_number(obj, "connections", now.connections - base->connections);
	stats_add_number(obj, "messages", now.messages - base->messages);
	stats_add_number(obj, "refused", now.refused - base->refused);
	stats_add_number(obj, "connection_errors",
			 now.connection_errors - base->connection_errors);
	return obj;
}

void stats_add(struct daemon_device *device, struct json_object *obj)
{
	struct json_object *queues = json_object_new_array();
	unsigned int i;

	json_add(obj, "device", stats_device_json(device));
	for (i = 0; i < device->stats->queues; i++)
		json_object_array_add(queues, stats_queue_json(device, i));
	json_add(obj, "queues", queues);
}

/*
 * Life
 */

static int stats_new_device(struct daemon_device *device)
{
	struct stats_device *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	device->stats = s;
	while (vhost_dev_queue(device->dev, s->queues))
		s->queues++;
	s->now = calloc(s->queues, sizeof(s->now[0]));
	s->base = calloc(s->queues, sizeof(s->base[0]));
	return s->now && s->base ? 0 : -ENOMEM;
}

int stats_new(struct daemon_run *run)
{
	struct stats *s = calloc(1, sizeof(*s));
	struct daemon_device *device;
	int ret = 0;

	if (!s)
		return -ENOMEM;
	run->stats = s;
	s->run = run;
	s->parts = calloc(1 + run->num_workers, sizeof(s->parts[0]));
	if (!s->parts)
		return -ENOMEM;
	for_each_device(device, run)
		if (!ret)
			ret = stats_new_device(device);
	return ret;
}

static void stats_free_device(struct daemon_device *device)
{
	if (!device->stats)
		return;
	free(device->stats->now);
	free(device->stats->base);
	free(device->stats);
	device->stats = NULL;
}

static void stats_drop(struct stats_request *request)
{
	struct stats_request *next;

	for (; request; request = next) {
		next = request->next;
		free(request);
	}
}

void stats_free(struct daemon_run *run)
{
	struct stats *s = run->stats;
	struct daemon_device *device;

	for_each_device(device, run)
		stats_free_device(device);
	if (!s)
		return;
	stats_drop(s->served);
	stats_drop(s->waiting);
	free(s->parts);
	free(s);
	run->stats = NULL;
}
