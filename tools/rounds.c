/* SPDX-License-Identifier: BSD-3-Clause */
/* See rounds.h. */
#include "config.h"

#include "tools/rounds.h"

#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/calm.h"
#include "util.h"

/* How many times as many rounds as wanted are tried, unless somebody knows better. */
#define ROUNDS_TRIES	3u

struct turn *rounds_current(struct rounds *r)
{
	return r->turns[r->num];
}

void rounds_end(struct rounds *r, double worst)
{
	unsigned int needed = r->wanted - r->num;
	unsigned int most = r->wanted * (r->tries ? r->tries : ROUNDS_TRIES);
	bool disturbed = worst > CALM_LIMIT;

	r->tried++;
	/* As long as there may be enough calm ones. */
	if (disturbed && most - r->tried >= needed)
		return;
	r->disturbed += disturbed;
	r->num++;
}

bool rounds_done(const struct rounds *r)
{
	return r->num >= r->wanted;
}

struct spread {
	double median, min, max;
};

static int rounds_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct spread spread_of(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), rounds_order);
	return (struct spread){
		.median = n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2,
		.min = v[0], .max = v[n - 1],
	};
}

/* Field offset of a turn, as a number. */
static double turn_field(const struct turn *t, size_t offset)
{
	double value;

	memcpy(&value, (const char *)t + offset, sizeof(value));
	return value;
}

static struct spread rounds_field(const struct rounds *r, unsigned int which, size_t offset)
{
	double v[ROUNDS_MAX];
	unsigned int i;

	for (i = 0; i < r->num; i++)
		v[i] = turn_field(&r->turns[i][which], offset);
	return spread_of(v, r->num);
}

/* Of the first to the second, round by round. */
static struct spread rounds_ratio(const struct rounds *r, size_t offset)
{
	double v[ROUNDS_MAX], below;
	unsigned int i;

	for (i = 0; i < r->num; i++) {
		below = turn_field(&r->turns[i][1], offset);
		v[i] = below > 0 ? turn_field(&r->turns[i][0], offset) / below : 0;
	}
	return spread_of(v, r->num);
}

#define TURN(field) offsetof(struct turn, field)

static const struct {
	const char *name, *title;
	size_t offset;
	bool ratio;
} fields[] = {
	{ "per_second", "per second", TURN(rate), true },
	{ "backend_cpu_ns_per_request", "CPU-ns per request", TURN(cpu), true },
	{ "latency_ns_p50", "median latency, ns", TURN(latency), true },
	{ "kicks_per_request", "kicks per request", TURN(kicks), false },
	{ "interrupts_per_request", "interrupts per request", TURN(interrupts), false },
};

void rounds_print(const struct rounds *r)
{
	size_t i;

	printf("%s: %s\n%u rounds of %g s, %u repeated, %u disturbed\n\n", r->type, r->load,
	       r->num, r->time_ms / 1000.0, r->tried - r->num, r->disturbed);
	printf("%-24s %18.18s %18.18s   ratio (from to)\n", "median of the rounds", r->names[0],
	       r->names[1]);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		struct spread ratio = rounds_ratio(r, fields[i].offset);
		double a = rounds_field(r, 0, fields[i].offset).median;
		double b = rounds_field(r, 1, fields[i].offset).median;

		/* A loop of our own has no requests which could be late. */
		if (fields[i].ratio && !a && !b)
			continue;
		printf("%-24s %18.*f %18.*f", fields[i].title, fields[i].ratio ? 0 : 3, a,
		       fields[i].ratio ? 0 : 3, b);
		if (fields[i].ratio)
			printf("   %.2f (%.2f %.2f)", ratio.median, ratio.min, ratio.max);
		printf("\n");
	}
	printf("\n");
}

static struct json_object *json_spread(struct spread s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "median", json_object_new_double(s.median));
	json_object_object_add(o, "min", json_object_new_double(s.min));
	json_object_object_add(o, "max", json_object_new_double(s.max));
	return o;
}

static struct json_object *json_fields(const struct rounds *r, unsigned int which)
{
	struct json_object *o = json_object_new_object();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		struct spread s = which < 2 ? rounds_field(r, which, fields[i].offset) :
					      rounds_ratio(r, fields[i].offset);

		if (which < 2 || fields[i].ratio)
			json_object_object_add(o, fields[i].name, json_spread(s));
	}
	return o;
}

void rounds_print_json(const struct rounds *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "type", json_object_new_string(r->type));
	json_object_object_add(o, "load", json_object_new_string(r->load));
	json_object_object_add(o, "rounds", json_object_new_int((int)r->num));
	json_object_object_add(o, "repeated", json_object_new_int((int)(r->tried - r->num)));
	json_object_object_add(o, "disturbed", json_object_new_int((int)r->disturbed));
	json_object_object_add(o, "a", json_fields(r, 0));
	json_object_object_add(o, "b", json_fields(r, 1));
	json_object_object_add(o, "ratio", json_fields(r, 2));
	printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY));
	json_object_put(o);
}
