/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the schema of the control protocol agrees with what daemons say about their methods:
 *
 *   schema SCHEMA DAEMON <HELP		HELP is the result of the daemon's method "help"
 *
 * Says what differs, and ends with 1 if anything does.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/json.h"

static const char *daemon_name;
static bool differs;

__attribute__((format(printf, 1, 2)))
static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	differs = true;
}

static struct json_object *member(struct json_object *obj, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(obj, key, &value);
	return value;
}

static const char *text(struct json_object *obj, const char *key)
{
	struct json_object *value = member(obj, key);

	return value ? json_object_get_string(value) : "";
}

/* The schema's type of a parameter, as JSON; NULL: it is an enumeration. */
static const char *type_of(const char *method_param, const char *type)
{
	static const char *const types[][2] = {
		{ "text", "\"string\"" }, { "flag", "\"boolean\"" }, { "number", "\"integer\"" },
		{ "size", "[\"integer\",\"string\"]" }, { "list", "\"array\"" },
	};
	size_t i;

	/* What a value of a list begins with. */
	if (!strcmp(method_param, "lun"))
		return "[\"string\",\"integer\"]";
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i][0], type))
			return types[i][1];
	return NULL;
}

static void compare_choices(const char *method, const char *name, struct json_object *choices,
			    struct json_object *words)
{
	size_t i, n = json_object_array_length(choices), m = words ? json_object_array_length(words) : 0;

	for (i = 0; i < n; i++)
		if (i >= m || !json_object_equal(json_object_array_get_idx(choices, i),
						 json_object_array_get_idx(words, i)))
			say("%s: %s: choice %zu differs", method, name, i);
	/* Behind them the same as numbers, if they are. */
	for (; i < m; i++)
		if (!json_object_is_type(json_object_array_get_idx(words, i), json_type_int))
			say("%s: %s: a choice too many", method, name);
}

static void compare_param(const char *method, const char *name, struct json_object *about,
			  struct json_object *schema)
{
	const char *type = type_of(name, text(about, "type"));
	struct json_object *is = member(schema, "type");

	if (strcmp(text(about, "help"), text(schema, "description")))
		say("%s: %s: described differently", method, name);
	if (!type)
		compare_choices(method, name, member(about, "choices"), member(schema, "enum"));
	else if (!is || strcmp(json_object_to_json_string_ext(is, JSON_C_TO_STRING_PLAIN), type))
		say("%s: %s: not of type %s", method, name, type);
	if (!json_object_equal(member(about, "min"), member(schema, "minimum")) ||
	    !json_object_equal(member(about, "max"), member(schema, "maximum")))
		say("%s: %s: other bounds", method, name);
}

static void compare_method(const char *method, struct json_object *about,
			   struct json_object *schema)
{
	struct json_object *params = member(about, "params"), *known = member(schema, "properties");

	if (strcmp(text(about, "help"), text(schema, "description")))
		say("%s: described differently", method);
	json_object_object_foreach(params, name, param) {
		if (member(known, name))
			compare_param(method, name, param, member(known, name));
		else
			say("%s: %s is not in the schema", method, name);
	}
	json_object_object_foreach(known, other, ignored) {
		(void)ignored;
		if (!member(params, other))
			say("%s: %s is only in the schema", method, other);
	}
	if (!strstr(text(schema, "$comment"), daemon_name))
		say("%s: the schema does not know that %s has it", method, daemon_name);
}

/* The method's definition for this daemon. */
static struct json_object *find(struct json_object *methods, const char *name)
{
	char special[128];

	snprintf(special, sizeof(special), "%s@%s", name, daemon_name);
	return member(methods, special) ? member(methods, special) : member(methods, name);
}

static void compare(struct json_object *help, struct json_object *schema)
{
	struct json_object *methods = member(member(schema, "$defs"), "params"), *found;

	json_object_object_foreach(help, name, about) {
		found = find(methods, name);
		if (found)
			compare_method(name, about, found);
		else
			say("%s is not in the schema", name);
	}
	json_object_object_foreach(methods, key, method) {
		size_t len = strcspn(key, "@");
		char plain[128];

		snprintf(plain, sizeof(plain), "%.*s", (int)len, key);
		if (strstr(text(method, "$comment"), daemon_name) && !member(help, plain))
			say("%s is only in the schema", key);
	}
}

int main(int argc, char **argv)
{
	struct json_object *schema, *help;

	if (argc != 3)
		return 2;
	daemon_name = argv[2];
	schema = json_object_from_file(argv[1]);
	help = json_object_from_fd(0);
	if (!schema || !help) {
		say("%s", json_util_get_last_err());
		return 1;
	}
	compare(help, schema);
	json_object_put(schema);
	json_object_put(help);
	return differs;
}
