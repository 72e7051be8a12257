/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options as JSON.  Each value is turned into the text which the command line would have, so that
 * one place judges it: option_set().
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "util.h"

#define NUMBER_SIZE 24			/* bytes of any number as text */

__attribute__((format(printf, 2, 3)))
static int config_refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, CONFIG_WHY_SIZE, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/*
 * From JSON
 */

static const char *config_type_name(enum option_type type)
{
	static const char *const names[] = {
		[OPTION_TEXT] = "string", [OPTION_FLAG] = "boolean", [OPTION_NUMBER] = "integer",
		[OPTION_SIZE] = "integer or string", [OPTION_CHOICE] = "string",
		[OPTION_LIST] = "array", [OPTION_ACTION] = "nothing",
	};

	return names[type];
}

static bool config_takes(const struct option_def *def, enum json_type type)
{
	switch (def->type) {
	case OPTION_TEXT:
		return type == json_type_string;
	case OPTION_FLAG:
		return type == json_type_boolean;
	case OPTION_NUMBER:
		return type == json_type_int;
	case OPTION_SIZE:
		return type == json_type_string || type == json_type_int;
	case OPTION_CHOICE:
		return type == json_type_string ||
		       (type == json_type_int && isdigit((unsigned char)*def->choices[0]));
	case OPTION_LIST:
		return type == json_type_array;
	case OPTION_ACTION:
		return false;
	}
	return false;
}

/* The value as text: its own, or a number in buf.  NULL, and the reason in why. */
static const char *config_text(struct json_object *value, char buf[NUMBER_SIZE], char *why)
{
	const char *text;

	if (json_object_is_type(value, json_type_int)) {
		/* Above what a signed one holds json-c keeps an unsigned one. */
		if (json_object_get_int64(value) < 0)
			snprintf(buf, NUMBER_SIZE, "%" PRId64, json_object_get_int64(value));
		else
			snprintf(buf, NUMBER_SIZE, "%" PRIu64, json_object_get_uint64(value));
		return buf;
	}
	text = json_object_get_string(value);
	if (strlen(text) == (size_t)json_object_get_string_len(value))
		return text;
	config_refuse(why, "a NUL byte");
	return NULL;
}

static int config_set_text(struct option_table *table, const struct option_def *def,
			   const char *text, char *why)
{
	char reason[OPTION_WHY_SIZE];

	if (!option_set(table, def, text, reason))
		return 0;
	return config_refuse(why, "%s: %s", def->name, reason);
}

static int config_set_list(struct option_table *table, const struct option_def *def,
			   struct json_object *array, char *why)
{
	size_t i, n = json_object_array_length(array);
	char reason[CONFIG_WHY_SIZE], *text;
	int ret = 0;

	for (i = 0; !ret && i < n; i++) {
		text = config_item(def, json_object_array_get_idx(array, i), reason);
		if (!text)
			return config_refuse(why, "%s[%zu]: %.200s", def->name, i, reason);
		ret = config_set_text(table, def, text, why);
		free(text);
	}
	return ret;
}

static int config_set_one(struct option_table *table, const struct option_def *def,
			  struct json_object *value, char *why)
{
	char buf[NUMBER_SIZE], reason[CONFIG_WHY_SIZE];
	const char *text;

	if (!config_takes(def, json_object_get_type(value)))
		return config_refuse(why, "%s: not of type %s", def->name,
				     config_type_name(def->type));
	if (def->type == OPTION_LIST)
		return config_set_list(table, def, value, why);
	if (def->type == OPTION_FLAG)
		return json_object_get_boolean(value) ?
		       config_set_text(table, def, NULL, why) : 0;
	text = config_text(value, buf, reason);
	if (!text)
		return config_refuse(why, "%s: %s", def->name, reason);
	return config_set_text(table, def, text, why);
}

int config_set(struct option_table *tables, unsigned int n, struct json_object *obj,
	       char why[CONFIG_WHY_SIZE])
{
	const struct option_def *def;
	struct option_table *table;
	int ret;

	json_object_object_foreach(obj, key, value) {
		table = options_find(tables, n, key, strlen(key), &def);
		if (!table || def->type == OPTION_ACTION)
			return config_refuse(why, "%.80s: unknown", key);
		ret = config_set_one(table, def, value, why);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * A value of a list
 */

/* Append ",KEY=TEXT", or what of it there is; commas of the text are doubled. */
static void config_put(FILE *out, const char *key, const char *text)
{
	if (key)
		fprintf(out, ",%s%s", key, text ? "=" : "");
	for (; text && *text; text++)
		fprintf(out, "%s%c", *text == ',' ? "," : "", *text);
}

static int config_put_key(FILE *out, const struct option_def *def, struct json_object *value,
			  char *why)
{
	char buf[NUMBER_SIZE], reason[CONFIG_WHY_SIZE];
	const char *text;

	if (!config_takes(def, json_object_get_type(value)))
		return config_refuse(why, "%s: not of type %s", def->name,
				     config_type_name(def->type));
	if (def->type == OPTION_FLAG) {
		if (json_object_get_boolean(value))
			config_put(out, def->name, NULL);
		return 0;
	}
	text = config_text(value, buf, reason);
	if (!text)
		return config_refuse(why, "%s: %s", def->name, reason);
	config_put(out, def->name, text);
	return 0;
}

/* What the value begins with: "lun" of a --lun, a string or an integer. */
static int config_put_head(FILE *out, const struct option_def *list, struct json_object *obj,
			   char *why)
{
	struct json_object *head;
	char buf[NUMBER_SIZE];
	const char *text;

	if (!json_object_object_get_ex(obj, list->name, &head))
		return config_refuse(why, "%s: it is required", list->name);
	if (!json_object_is_type(head, json_type_string) &&
	    !json_object_is_type(head, json_type_int))
		return config_refuse(why, "%s: not of type string or integer", list->name);
	text = config_text(head, buf, why);
	if (!text)
		return -EINVAL;
	if (strchr(text, ','))
		return config_refuse(why, "%s: a comma", list->name);
	fputs(text, out);
	return 0;
}

static int config_put_object(FILE *out, const struct option_def *list, struct json_object *obj,
			     char *why)
{
	struct option_table table = { .defs = list->keys };
	const struct option_def *def;
	int ret = config_put_head(out, list, obj, why);

	if (ret)
		return ret;
	json_object_object_foreach(obj, key, value) {
		if (!strcmp(key, list->name))
			continue;
		if (!options_find(&table, 1, key, strlen(key), &def))
			return config_refuse(why, "%.80s: unknown", key);
		ret = config_put_key(out, def, value, why);
		if (ret)
			return ret;
	}
	return 0;
}

char *config_item(const struct option_def *list, struct json_object *value,
		  char why[CONFIG_WHY_SIZE])
{
	char buf[NUMBER_SIZE], *item = NULL;
	const char *text;
	size_t size;
	FILE *out;
	int ret = 0;

	if (json_object_is_type(value, json_type_string)) {
		text = config_text(value, buf, why);
		return text ? strdup(text) : NULL;
	}
	if (!json_object_is_type(value, json_type_object) || !list->keys) {
		config_refuse(why, "not of type string%s", list->keys ? " or object" : "");
		return NULL;
	}
	out = open_memstream(&item, &size);
	if (!out) {
		config_refuse(why, "%s", strerror(ENOMEM));
		return NULL;
	}
	ret = config_put_object(out, list, value, why);
	if (fclose(out) && !ret)
		ret = config_refuse(why, "%s", strerror(ENOMEM));
	if (!ret)
		return item;
	free(item);
	return NULL;
}

/*
 * To JSON
 */

static struct json_object *config_get_list(const struct option_list *list)
{
	struct json_object *array = json_object_new_array();
	unsigned int i;

	for (i = 0; i < list->num; i++)
		json_object_array_add(array, json_text(list->values[i]));
	return array;
}

static struct json_object *config_get_one(const struct option_def *def, const void *field)
{
	switch (def->type) {
	case OPTION_TEXT:
		return json_text(*(const char *const *)field);
	case OPTION_FLAG:
		return json_object_new_boolean(*(const bool *)field);
	case OPTION_NUMBER:
		return json_object_new_int64(*(const unsigned int *)field);
	case OPTION_SIZE:
		return json_object_new_uint64(*(const uint64_t *)field);
	case OPTION_CHOICE:
		return json_object_new_string(def->choices[*(const unsigned int *)field]);
	case OPTION_LIST:
		return config_get_list(field);
	case OPTION_ACTION:
		return NULL;
	}
	return NULL;
}

void config_get(const struct option_table *tables, unsigned int n, struct json_object *obj)
{
	const struct option_def *def;
	unsigned int i;

	for (i = 0; i < n; i++)
		for (def = tables[i].defs; def->name; def++)
			if (def->type != OPTION_ACTION &&
			    tables[i].given & BIT(def - tables[i].defs))
				json_add(obj, def->name,
					 config_get_one(def, (const char *)tables[i].values +
							     def->offset));
}

static struct json_object *config_describe_one(const struct option_def *def)
{
	static const char *const types[] = {
		[OPTION_TEXT] = "text", [OPTION_FLAG] = "flag", [OPTION_NUMBER] = "number",
		[OPTION_SIZE] = "size", [OPTION_CHOICE] = "choice", [OPTION_LIST] = "list",
	};
	struct json_object *about = json_object_new_object(), *words;
	unsigned int i;

	json_add(about, "type", json_object_new_string(types[def->type]));
	json_add(about, "help", json_object_new_string(def->help));
	if (def->type == OPTION_NUMBER || def->type == OPTION_SIZE) {
		json_add(about, "min", json_object_new_uint64(def->min));
		json_add(about, "max", json_object_new_uint64(def->max));
	}
	if (def->type == OPTION_CHOICE) {
		words = json_object_new_array();
		for (i = 0; def->choices[i]; i++)
			json_object_array_add(words, json_object_new_string(def->choices[i]));
		json_add(about, "choices", words);
	}
	return about;
}

struct json_object *config_describe(const struct option_def *defs)
{
	struct json_object *obj = json_object_new_object();

	for (; defs && defs->name; defs++)
		if (defs->type != OPTION_ACTION)
			json_add(obj, defs->name, config_describe_one(defs));
	return obj;
}
