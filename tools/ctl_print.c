/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of a daemon, for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

#define DEPTH_MAX 8			/* deeper it is shown as JSON */

/*
 * Anything
 */

struct print_level {
	struct json_object *value;
	size_t next;			/* element of an array */
	struct json_object_iterator it, end;	/* members of an object */
	bool array;
};

static bool print_is_tree(struct json_object *value)
{
	return json_object_is_type(value, json_type_object) ||
	       json_object_is_type(value, json_type_array);
}

static void print_leaf(struct json_object *value)
{
	if (json_object_is_type(value, json_type_string))
		printf("%s\n", json_object_get_string(value));
	else
		printf("%s\n", json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
}

static void print_enter(struct print_level *level, struct json_object *value)
{
	*level = (struct print_level){
		.value = value, .array = json_object_is_type(value, json_type_array),
	};
	if (level->array)
		return;
	level->it = json_object_iter_begin(value);
	level->end = json_object_iter_end(value);
}

/* The next member, and its name, or "-" of an array's; false: there is none. */
static bool print_next(struct print_level *level, const char **name, struct json_object **value)
{
	*name = "-";
	if (level->array) {
		if (level->next == json_object_array_length(level->value))
			return false;
		*value = json_object_array_get_idx(level->value, level->next++);
		return true;
	}
	if (json_object_iter_equal(&level->it, &level->end))
		return false;
	*name = json_object_iter_peek_name(&level->it);
	*value = json_object_iter_peek_value(&level->it);
	json_object_iter_next(&level->it);
	return true;
}

void ctl_print(struct json_object *result)
{
	struct print_level levels[DEPTH_MAX];
	struct json_object *value;
	int depth = 0;
	const char *name;

	if (!result)
		return;
	if (!print_is_tree(result)) {
		print_leaf(result);
		return;
	}
	print_enter(&levels[0], result);
	while (depth >= 0) {
		if (!print_next(&levels[depth], &name, &value)) {
			depth--;
			continue;
		}
		printf("%*s%s%s", depth * 2, "", name, *name == '-' ? "" : ":");
		if (!print_is_tree(value) || depth + 1 == DEPTH_MAX) {
			printf(" ");
			print_leaf(value);
			continue;
		}
		printf("\n");
		print_enter(&levels[++depth], value);
	}
}

/*
 * help
 */

static const char *print_text(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ? json_object_get_string(value) : "";
}

static void print_choices(struct json_object *words)
{
	size_t i, n = json_object_array_length(words);

	for (i = 0; i < n; i++)
		printf("%s%s", i ? "|" : "",
		       json_object_get_string(json_object_array_get_idx(words, i)));
}

static void print_param(const char *name, struct json_object *about)
{
	struct json_object *words;

	printf("      %s=", name);
	if (json_object_object_get_ex(about, "choices", &words) &&
	    json_object_is_type(words, json_type_array))
		print_choices(words);
	else
		printf("%s", print_text(about, "type"));
	printf("  %s\n", print_text(about, "help"));
}

void ctl_print_help(struct json_object *result)
{
	struct json_object *params;

	if (!json_object_is_type(result, json_type_object)) {
		ctl_print(result);
		return;
	}
	json_object_object_foreach(result, method, about) {
		printf("  %-12s %s\n", method, print_text(about, "help"));
		if (!json_object_object_get_ex(about, "params", &params) ||
		    !json_object_is_type(params, json_type_object))
			continue;
		json_object_object_foreach(params, name, param)
			print_param(name, param);
	}
}

/*
 * stats
 */

static int64_t print_number(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ? json_object_get_int64(value) : 0;
}

/* Whether the column is a state, which has no rate. */
static bool print_is_state(const char *name)
{
	return !strcmp(name, "queue") || !strcmp(name, "size") || !strcmp(name, "outstanding") ||
	       strstr(name, "oldest");
}

static bool print_is_column(struct json_object *value)
{
	return json_object_is_type(value, json_type_int);
}

static int print_width(const char *name)
{
	int len = (int)strlen(name);

	return len < 9 ? 9 : len;
}

static void print_heads(struct json_object *queue)
{
	json_object_object_foreach(queue, name, value)
		if (print_is_column(value))
			printf(" %*s", print_width(name), name);
	printf("\n");
}

static void print_queue(struct json_object *queue, struct json_object *last, double seconds)
{
	json_object_object_foreach(queue, name, value) {
		int64_t n = json_object_get_int64(value);

		if (!print_is_column(value))
			continue;
		if (last && !print_is_state(name))
			n = (int64_t)((double)(n - print_number(last, name)) / seconds + 0.5);
		printf(" %*" PRId64, print_width(name), n);
	}
	printf("\n");
}

/* The array which is this member; NULL: there is none. */
static struct json_object *print_array(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) &&
	       json_object_is_type(value, json_type_array) ? value : NULL;
}

/* Of one device. */
static void print_stats(struct json_object *result, struct json_object *last, double seconds)
{
	struct json_object *queues = print_array(result, "queues"), *queue;
	struct json_object *before = print_array(last, "queues");
	size_t i, n, shown = 0;

	if (!queues) {
		ctl_print(result);
		return;
	}
	n = json_object_array_length(queues);
	for (i = 0; i < n; i++) {
		queue = json_object_array_get_idx(queues, i);
		/* Those which no driver uses would only be in the way. */
		if (!print_number(queue, "size") && !print_number(queue, "requests"))
			continue;
		if (!shown++)
			print_heads(queue);
		print_queue(queue, before ? json_object_array_get_idx(before, i) : NULL, seconds);
	}
	if (!shown)
		printf("no queue is in use\n");
}

void ctl_print_stats(struct json_object *result, struct json_object *last, double seconds)
{
	struct json_object *devices = print_array(result, "devices"), *device;
	struct json_object *before = print_array(last, "devices");
	size_t i, n = devices ? json_object_array_length(devices) : 0;

	if (!devices)
		print_stats(result, last, seconds);
	/* There are the same ones as long as the process lives. */
	for (i = 0; i < n; i++) {
		device = json_object_array_get_idx(devices, i);
		printf("%s%s\n", i ? "\n" : "", print_text(device, "name"));
		print_stats(device, before ? json_object_array_get_idx(before, i) : NULL, seconds);
	}
}
