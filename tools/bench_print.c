/* SPDX-License-Identifier: BSD-3-Clause */
/* What vhost-bench measured, for people and as JSON. */
#include "config.h"

#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdio.h>

#include "tools/bench.h"
#include "util.h"

static const double percents[] = { 50, 90, 99, 99.9, 99.99 };

uint64_t bench_total(const struct load_count *c)
{
	return c->requests + c->received;
}

double bench_rate(const struct bench_result *r)
{
	return (double)bench_total(&r->count) / r->seconds;
}

/* Of each request, whatever its direction. */
static double print_each(const struct bench_result *r, uint64_t sum)
{
	return (double)sum / (double)bench_total(&r->count);
}

static const char *print_what(const struct bench *b)
{
	static const char *const rw[] = {
		[LOAD_RANDREAD] = "random reads", [LOAD_RANDWRITE] = "random writes",
		[LOAD_READ] = "sequential reads", [LOAD_WRITE] = "sequential writes",
		[LOAD_RANDRW] = "random reads and writes",
	};
	static const char *const dir[] = {
		[LOAD_TX] = "packets sent", [LOAD_RX] = "packets received",
		[LOAD_BOTH] = "packets in both directions",
	};

	if (b->ops->disk)
		return rw[b->params.rw];
	return b->ops->pairs ? dir[b->params.dir] : "requests";
}

void bench_describe(const struct bench *b, char *text, size_t size)
{
	const struct load_params *p = &b->params;

	snprintf(text, size, "%s of %" PRIu64 " bytes, depth %u, %u queue%s, %s%s%s%s ring%s, %s%s",
		 print_what(b), p->block ? p->block : b->ops->block, p->depth, p->queues,
		 p->queues > 1 ? "s" : "",
		 p->features & FE_BIT(VIRTIO_F_RING_PACKED) ? "packed" : "split",
		 p->indirect ? " indirect" : "",
		 p->features & FE_BIT(VIRTIO_NET_F_MRG_RXBUF) ? " mergeable" : "",
		 p->features & FE_BIT(VIRTIO_F_IN_ORDER) ? " in-order" : "", p->queues > 1 ? "s" : "",
		 p->poll ? "polling" : "interrupts", p->verify ? ", verified" : "");
}

static void print_latency(const struct hist *h)
{
	size_t i;

	if (!h->total)
		return;
	printf("  latency       mean %.1f us, min %.1f us, max %.1f us\n",
	       (double)hist_mean(h) / 1000, (double)h->min / 1000, (double)h->max / 1000);
	printf("  percentiles  ");
	for (i = 0; i < ARRAY_SIZE(percents); i++)
		printf("%s %g %%: %.1f us", i ? "," : "", percents[i],
		       (double)hist_percentile(h, percents[i]) / 1000);
	printf("\n");
}

static void print_rate(const char *title, const char *unit, uint64_t n, uint64_t bytes, double s)
{
	printf("  %-13s %.0f %s%s, %.1f MB/s\n", title, (double)n / s, unit,
	       *unit == 'I' ? "" : " per second", (double)bytes / s / 1e6);
}

void bench_print(const struct bench *b, const char *path, const struct bench_result *r)
{
	const struct load_count *c = &r->count;
	char text[160];

	bench_describe(b, text, sizeof(text));
	printf("%s %s: %s, %.1f s\n", b->ops->name, path, text, r->seconds);
	if (c->requests)
		print_rate(b->ops->pairs ? "sent" : "rate", b->ops->unit, c->requests, c->bytes,
			   r->seconds);
	if (c->received)
		print_rate("received", b->ops->unit, c->received, c->received_bytes, r->seconds);
	print_latency(&r->hist);
	printf("  CPU           front-end %.0f ns", print_each(r, r->cpu));
	if (r->has_backend_cpu)
		printf(", back-end %.0f ns", print_each(r, r->backend_cpu));
	printf(" per request\n");
	printf("  signals       %.3f kicks, %.3f interrupts per request\n", print_each(r, c->kicks),
	       print_each(r, c->interrupts));
	if (b->params.verify)
		printf("  verified      %" PRIu64 " requests\n", r->verified);
}

/*
 * JSON
 */

static void json_add_uint(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_uint64(value));
}

static void json_add_double(struct json_object *o, const char *name, double value)
{
	json_object_object_add(o, name, json_object_new_double(value));
}

static struct json_object *json_latency(const struct hist *h)
{
	struct json_object *o = json_object_new_object();
	char name[16];
	size_t i;

	json_add_uint(o, "mean", hist_mean(h));
	json_add_uint(o, "min", h->min);
	json_add_uint(o, "max", h->max);
	for (i = 0; i < ARRAY_SIZE(percents); i++) {
		snprintf(name, sizeof(name), "p%g", percents[i]);
		json_add_uint(o, name, hist_percentile(h, percents[i]));
	}
	return o;
}

struct json_object *bench_json(const struct bench *b, const char *path,
			       const struct bench_result *r)
{
	struct json_object *o = json_object_new_object();
	const struct load_count *c = &r->count;
	char text[160];

	bench_describe(b, text, sizeof(text));
	json_object_object_add(o, "type", json_object_new_string(b->ops->name));
	json_object_object_add(o, "socket", json_object_new_string(path));
	json_object_object_add(o, "load", json_object_new_string(text));
	json_add_double(o, "seconds", r->seconds);
	json_add_uint(o, "requests", c->requests);
	json_add_uint(o, "bytes", c->bytes);
	if (b->ops->pairs) {
		json_add_uint(o, "received", c->received);
		json_add_uint(o, "received_bytes", c->received_bytes);
	}
	json_add_double(o, "per_second", bench_rate(r));
	if (r->hist.total)
		json_object_object_add(o, "latency_ns", json_latency(&r->hist));
	json_add_double(o, "cpu_ns_per_request", print_each(r, r->cpu));
	if (r->has_backend_cpu)
		json_add_double(o, "backend_cpu_ns_per_request", print_each(r, r->backend_cpu));
	json_add_double(o, "kicks_per_request", print_each(r, c->kicks));
	json_add_double(o, "interrupts_per_request", print_each(r, c->interrupts));
	if (b->params.verify)
		json_add_uint(o, "verified", r->verified);
	return o;
}

/*
 * Progress
 */

void bench_progress(void *arg, const struct load *l, uint64_t start)
{
	struct load_count c = load_count(l);
	double s = (double)(l->now - start) / 1e9;

	(void)arg;
	if (s <= 0)
		return;
	fprintf(stderr, "\r%6.1f s  %10.0f %s%s  %8.1f MB/s  %u in flight   ", s,
		(double)bench_total(&c) / s, l->ops->unit, *l->ops->unit == 'I' ? "" : "/s",
		(double)(c.bytes + c.received_bytes) / s / 1e6, load_busy(l));
	fflush(stderr);
}

void bench_progress_end(void)
{
	/* The line has served its purpose. */
	fprintf(stderr, "\r%78s\r", "");
	fflush(stderr);
}
