/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics as OpenMetrics text, and the socket where it is got: by HTTP, as scrapers do, or by
 * whoever says nothing and closes his half.
 *
 * Counters here begin with the process; stats-reset leaves them alone.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "lines.h"
#include "util.h"

/*
 * Text
 */

/* A family's lines stand together, those of all devices. */
struct metrics {
	FILE *out;
	const struct daemon *daemon;
	const struct daemon_device *first, *end;
};

/* A line's labels, in braces: the device's name, if it has one, the queue's number, if it is >= 0. */
static void metrics_labels(FILE *out, const struct daemon_device *device, int queue)
{
	const char *name = device->conf.name, *sep = name && queue >= 0 ? "," : "";

	if (!name && queue < 0)
		return;
	fputc('{', out);
	if (name)
		fprintf(out, "device=\"%s\"%s", name, sep);
	if (queue >= 0)
		fprintf(out, "queue=\"%d\"", queue);
	fputc('}', out);
}

static void metrics_family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# TYPE vhost_user_%s %s\n# HELP vhost_user_%s %s\n", name, type, name, help);
}

static void metrics_count(FILE *out, const char *name, const struct daemon_device *device,
			  int queue, uint64_t value)
{
	fprintf(out, "vhost_user_%s_total", name);
	metrics_labels(out, device, queue);
	fprintf(out, " %" PRIu64 "\n", value);
}

/* A queue of a device, one after the other, of which there is something to say; false: no more. */
struct metrics_place {
	const struct daemon_device *device;
	unsigned int queue, next;
	const struct stats_queue *stats;
};

static bool metrics_next(const struct metrics *m, struct metrics_place *at)
{
	if (!at->device)
		at->device = m->first;
	while (at->device < m->end) {
		if (at->next == stats_queues(at->device)) {
			at->device++;
			at->next = 0;
			continue;
		}
		at->queue = at->next++;
		at->stats = stats_queue(at->device, at->queue);
		if (at->stats->size || at->stats->common.kicks || at->stats->common.requests)
			return true;
	}
	return false;
}

static void metrics_common(const struct metrics *m)
{
	const struct stats_common *row;

	for (row = stats_common; row->name; row++) {
		struct metrics_place at = { 0 };

		metrics_family(m->out, row->name, "counter", row->help);
		while (metrics_next(m, &at))
			metrics_count(m->out, row->name, at.device, (int)at.queue,
				      stats_common_value(at.stats, row));
	}
}

static void metrics_own(const struct metrics *m)
{
	const char *const *name = m->daemon->counters;
	char help[64];
	unsigned int n;

	snprintf(help, sizeof(help), "counted by each queue, see %s(1)", m->daemon->name);
	for (n = 0; name && name[n]; n++) {
		struct metrics_place at = { 0 };

		metrics_family(m->out, name[n], "counter", help);
		while (metrics_next(m, &at))
			metrics_count(m->out, name[n], at.device, (int)at.queue, at.stats->own[n]);
	}
}

static void metrics_connected(const struct metrics *m)
{
	const struct daemon_device *device;

	metrics_family(m->out, "connected", "gauge", "whether a front-end is there");
	for (device = m->first; device < m->end; device++) {
		fprintf(m->out, "vhost_user_connected");
		metrics_labels(m->out, device, -1);
		fprintf(m->out, " %d\n", device->connected);
	}
}

static void metrics_gauges(const struct metrics *m)
{
	struct metrics_place out = { 0 }, old = { 0 };

	metrics_family(m->out, "outstanding", "gauge", "requests in flight");
	while (metrics_next(m, &out)) {
		fprintf(m->out, "vhost_user_outstanding");
		metrics_labels(m->out, out.device, (int)out.queue);
		fprintf(m->out, " %u\n", out.stats->outstanding);
	}
	metrics_family(m->out, "oldest_seconds", "gauge", "age of the oldest request in flight");
	fprintf(m->out, "# UNIT vhost_user_oldest_seconds seconds\n");
	while (metrics_next(m, &old)) {
		fprintf(m->out, "vhost_user_oldest_seconds");
		metrics_labels(m->out, old.device, (int)old.queue);
		fprintf(m->out, " %.9f\n", (double)old.stats->latency.oldest / 1e9);
	}
}

/* With the end of a bucket as another label. */
static void metrics_bucket(FILE *out, const struct metrics_place *at, const char *end, uint64_t n)
{
	const char *name = at->device->conf.name;

	fprintf(out, "vhost_user_latency_seconds_bucket{%s%s%squeue=\"%u\",le=\"%s\"} %" PRIu64 "\n",
		name ? "device=\"" : "", name ? name : "", name ? "\"," : "", at->queue, end, n);
}

static void metrics_histogram(FILE *out, const struct metrics_place *at)
{
	const struct vhost_queue_latency *l = &at->stats->latency;
	char end[32];
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < VHOST_LATENCY_BUCKETS - 1; i++) {
		sum += l->count[i];
		snprintf(end, sizeof(end), "%.9f", (double)BIT(i) / 1e9);
		metrics_bucket(out, at, end, sum);
	}
	sum += l->count[i];
	metrics_bucket(out, at, "+Inf", sum);
	fprintf(out, "vhost_user_latency_seconds_count");
	metrics_labels(out, at->device, (int)at->queue);
	fprintf(out, " %" PRIu64 "\nvhost_user_latency_seconds_sum", sum);
	metrics_labels(out, at->device, (int)at->queue);
	fprintf(out, " %.9f\n", (double)l->sum / 1e9);
}

static void metrics_latency(const struct metrics *m)
{
	struct metrics_place at = { 0 };

	metrics_family(m->out, "latency_seconds", "histogram",
		       "how long requests took, from the ring back to it");
	fprintf(m->out, "# UNIT vhost_user_latency_seconds seconds\n");
	while (metrics_next(m, &at))
		metrics_histogram(m->out, &at);
}

static void metrics_devices(const struct metrics *m)
{
	static const struct {
		const char *name;
		size_t offset;
		const char *help;
	} rows[] = {
		{ "connections", offsetof(struct vhost_dev_stats, connections),
		  "front-ends which came" },
		{ "messages", offsetof(struct vhost_dev_stats, messages),
		  "messages from front-ends" },
		{ "messages_refused", offsetof(struct vhost_dev_stats, refused),
		  "messages which were refused" },
		{ "connection_errors", offsetof(struct vhost_dev_stats, connection_errors),
		  "connections which ended with an error" },
	};
	const struct daemon_device *device;
	struct vhost_dev_stats s;
	uint64_t value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		metrics_family(m->out, rows[i].name, "counter", rows[i].help);
		for (device = m->first; device < m->end; device++) {
			vhost_dev_stats(device->dev, &s);
			memcpy(&value, (const char *)&s + rows[i].offset, sizeof(value));
			metrics_count(m->out, rows[i].name, device, -1, value);
		}
	}
}

char *metrics_text(struct daemon_run *run, struct daemon_device *device, size_t *len)
{
	char *text = NULL;
	struct metrics m = {
		.out = open_memstream(&text, len),
		.daemon = run->daemon,
		.first = device ? device : run->devices,
		.end = device ? device + 1 : run->devices + run->num_devices,
	};

	if (!m.out)
		return NULL;
	/* The name of such a sample is the family's with _info behind it. */
	fprintf(m.out, "# TYPE vhost_user info\n# HELP vhost_user the daemon\n"
		"vhost_user_info{type=\"%s\",version=\"%s\"} 1\n", run->daemon->type,
		vhost_version());
	metrics_devices(&m);
	metrics_connected(&m);
	metrics_gauges(&m);
	metrics_common(&m);
	metrics_own(&m);
	metrics_latency(&m);
	fprintf(m.out, "# EOF\n");
	if (!fclose(m.out))
		return text;
	free(text);
	return NULL;
}

/*
 * The socket
 */

#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* What the client said first, in lines_own(). */
static char metrics_http, metrics_other;

static void metrics_send(struct lines_client *client, const char *status, const char *text,
			 size_t len)
{
	char head[256];
	int n = snprintf(head, sizeof(head), "HTTP/1.0 %s\r\nContent-Type: %s\r\n"
			 "Content-Length: %zu\r\nConnection: close\r\n\r\n", status, METRICS_TYPE,
			 len);

	if (*lines_own(client))
		lines_write(client, head, (size_t)n);
	lines_write(client, text, len);
	lines_finish(client);
}

static void metrics_gathered(struct daemon_run *run, void *arg)
{
	size_t len = 0;
	char *text = metrics_text(run, NULL, &len);

	if (text)
		metrics_send(arg, "200 OK", text, len);
	else
		lines_finish(arg);
	free(text);
	lines_go_on(arg);
}

static void metrics_answer(struct lines_client *client)
{
	if (*lines_own(client) == &metrics_other) {
		metrics_send(client, "400 Bad Request", "# EOF\n", 6);
		return;
	}
	lines_wait(client);
	if (!stats_ask(lines_arg(client), metrics_gathered, client))
		return;
	lines_finish(client);
	lines_go_on(client);
}

/* The request's first line, headers, which do not matter, and an empty line. */
static void metrics_line(struct lines_client *client, char *line, size_t len)
{
	void **first = lines_own(client);

	if (len && line[len - 1] == '\r')
		len--;
	if (!*first)
		*first = len > 4 && !memcmp(line, "GET ", 4) ? &metrics_http : &metrics_other;
	else if (!len)
		metrics_answer(client);
}

static void metrics_end(struct lines_client *client)
{
	if (!*lines_own(client))
		metrics_answer(client);
}

static const struct lines_ops metrics_ops = { .line = metrics_line, .end = metrics_end };

int metrics_open(struct daemon_run *run, int fd)
{
	return lines_server_new(&run->metrics_server, vhost_worker_base(run->control), fd,
				&metrics_ops, run);
}

void metrics_close(struct daemon_run *run)
{
	if (run->metrics_server)
		lines_server_free(run->metrics_server);
	run->metrics_server = NULL;
}
