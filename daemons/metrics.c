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

/* Whether there is anything to say about the queue. */
static bool metrics_has(const struct stats_queue *sq)
{
	return sq->size || sq->common.kicks || sq->common.requests;
}

static void metrics_family(FILE *out, const char *name, const char *type)
{
	fprintf(out, "# TYPE vhost_user_%s %s\n", name, type);
}

static void metrics_common(FILE *out, const struct daemon_run *run)
{
	const struct stats_common *row;
	unsigned int i;

	for (row = stats_common; row->name; row++) {
		metrics_family(out, row->name, "counter");
		for (i = 0; i < stats_queues(run); i++)
			if (metrics_has(stats_queue(run, i)))
				fprintf(out, "vhost_user_%s_total{queue=\"%u\"} %" PRIu64 "\n",
					row->name, i, stats_common_value(stats_queue(run, i), row));
	}
}

static void metrics_own(FILE *out, const struct daemon_run *run)
{
	const char *const *name = run->daemon->counters;
	unsigned int i, n;

	for (n = 0; name && name[n]; n++) {
		metrics_family(out, name[n], "counter");
		for (i = 0; i < stats_queues(run); i++)
			if (metrics_has(stats_queue(run, i)))
				fprintf(out, "vhost_user_%s_total{queue=\"%u\"} %" PRIu64 "\n",
					name[n], i, stats_queue(run, i)->own[n]);
	}
}

static void metrics_gauges(FILE *out, const struct daemon_run *run)
{
	unsigned int i;

	metrics_family(out, "connected", "gauge");
	fprintf(out, "vhost_user_connected %d\n", run->connected);
	metrics_family(out, "outstanding", "gauge");
	for (i = 0; i < stats_queues(run); i++)
		if (metrics_has(stats_queue(run, i)))
			fprintf(out, "vhost_user_outstanding{queue=\"%u\"} %u\n", i,
				stats_queue(run, i)->outstanding);
	metrics_family(out, "oldest_seconds", "gauge");
	fprintf(out, "# UNIT vhost_user_oldest_seconds seconds\n");
	for (i = 0; i < stats_queues(run); i++)
		if (metrics_has(stats_queue(run, i)))
			fprintf(out, "vhost_user_oldest_seconds{queue=\"%u\"} %.9f\n", i,
				(double)stats_queue(run, i)->latency.oldest / 1e9);
}

static void metrics_histogram(FILE *out, unsigned int queue, const struct vhost_queue_latency *l)
{
	const char *name = "vhost_user_latency_seconds";
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < VHOST_LATENCY_BUCKETS - 1; i++) {
		sum += l->count[i];
		fprintf(out, "%s_bucket{queue=\"%u\",le=\"%.9f\"} %" PRIu64 "\n", name, queue,
			(double)BIT(i) / 1e9, sum);
	}
	sum += l->count[i];
	fprintf(out, "%s_bucket{queue=\"%u\",le=\"+Inf\"} %" PRIu64 "\n", name, queue, sum);
	fprintf(out, "%s_count{queue=\"%u\"} %" PRIu64 "\n", name, queue, sum);
	fprintf(out, "%s_sum{queue=\"%u\"} %.9f\n", name, queue, (double)l->sum / 1e9);
}

static void metrics_latency(FILE *out, const struct daemon_run *run)
{
	unsigned int i;

	metrics_family(out, "latency_seconds", "histogram");
	fprintf(out, "# UNIT vhost_user_latency_seconds seconds\n");
	for (i = 0; i < stats_queues(run); i++)
		if (metrics_has(stats_queue(run, i)))
			metrics_histogram(out, i, &stats_queue(run, i)->latency);
}

static void metrics_device(FILE *out, const struct daemon_run *run)
{
	struct vhost_dev_stats s;

	vhost_dev_stats(run->dev, &s);
	metrics_family(out, "info", "info");
	fprintf(out, "vhost_user_info{type=\"%s\",version=\"%s\"} 1\n", run->daemon->type,
		vhost_version());
	metrics_family(out, "connections", "counter");
	fprintf(out, "vhost_user_connections_total %" PRIu64 "\n", s.connections);
	metrics_family(out, "messages", "counter");
	fprintf(out, "vhost_user_messages_total %" PRIu64 "\n", s.messages);
	metrics_family(out, "messages_refused", "counter");
	fprintf(out, "vhost_user_messages_refused_total %" PRIu64 "\n", s.refused);
	metrics_family(out, "connection_errors", "counter");
	fprintf(out, "vhost_user_connection_errors_total %" PRIu64 "\n", s.connection_errors);
}

char *metrics_text(const struct daemon_run *run, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (!out)
		return NULL;
	metrics_device(out, run);
	metrics_gauges(out, run);
	metrics_common(out, run);
	metrics_own(out, run);
	metrics_latency(out, run);
	fprintf(out, "# EOF\n");
	if (!fclose(out))
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
	char *text = metrics_text(run, &len);

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
