/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of a daemon: from texts to values, checked against their table. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"

#define HELP_COLUMN 26

/*
 * Values
 */

__attribute__((format(printf, 2, 3)))
static int option_refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, OPTION_WHY_SIZE, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* A decimal number and what follows it; strtoull() alone would take signs and blanks. */
static int option_number(const char *text, uint64_t *n, const char **end)
{
	unsigned long long value;
	char *stop;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &stop, 10);
	if (errno)
		return -ERANGE;
	*n = value;
	*end = stop;
	return 0;
}

/* The factor, as a power of 1024, which a unit stands for; negative: no unit. */
static int option_unit(const char *text)
{
	static const char units[] = "kmgt";
	const char *unit;

	if (!*text)
		return 0;
	unit = strchr(units, tolower((unsigned char)*text));
	return unit && !text[1] ? (int)(unit - units) + 1 : -1;
}

static int option_in_range(const struct option_def *def, uint64_t n, char *why)
{
	if (n >= def->min && n <= def->max)
		return 0;
	if (def->type == OPTION_SIZE)
		return option_refuse(why, "too %s", n < def->min ? "small" : "large");
	return option_refuse(why, "not in the range from %" PRIu64 " to %" PRIu64 "%s%s", def->min,
			     def->max, n > def->max && def->limit ? ": " : "",
			     n > def->max && def->limit ? def->limit : "");
}

static int option_set_number(const struct option_def *def, unsigned int *field, const char *value,
			     char *why)
{
	const char *end;
	uint64_t n;
	int ret = option_number(value, &n, &end);

	if (ret == -EINVAL || (!ret && *end))
		return option_refuse(why, "not a number");
	ret = option_in_range(def, ret ? UINT64_MAX : n, why);
	if (!ret)
		*field = (unsigned int)n;
	return ret;
}

static int option_set_size(const struct option_def *def, uint64_t *field, const char *value,
			   char *why)
{
	const char *end = value;
	uint64_t n;
	int ret = option_number(value, &n, &end), unit = option_unit(end);

	if (ret == -EINVAL || (!ret && unit < 0))
		return option_refuse(why, "not a number of bytes, or of K, M, G or T");
	if (ret || n > UINT64_MAX >> (10 * unit))
		n = UINT64_MAX;
	else
		n <<= 10 * unit;
	ret = option_in_range(def, n, why);
	if (!ret)
		*field = n;
	return ret;
}

/* "one, two or three" */
static void option_list_choices(const struct option_def *def, char *text, size_t size)
{
	size_t len = 0;
	unsigned int i;

	for (i = 0; def->choices[i] && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s",
					!i ? "" : def->choices[i + 1] ? ", " : " or ",
					def->choices[i]);
}

static int option_set_choice(const struct option_def *def, unsigned int *field, const char *value,
			     char *why)
{
	char text[OPTION_WHY_SIZE - 4];
	unsigned int i;

	for (i = 0; def->choices[i]; i++) {
		if (!strcmp(def->choices[i], value)) {
			*field = i;
			return 0;
		}
	}
	option_list_choices(def, text, sizeof(text));
	return option_refuse(why, "not %s", text);
}

static int option_set_text(const struct option_def *def, const char **field, const char *value,
			   char *why)
{
	if (!*value)
		return option_refuse(why, "it needs a value");
	if (def->max && strlen(value) > def->max)
		return option_refuse(why, "longer than %" PRIu64 " bytes", def->max);
	*field = value;
	return 0;
}

int option_list_add(struct option_list *list, const char *value)
{
	char **values = reallocarray(list->values, list->num + 1, sizeof(*values));

	if (!values)
		return -ENOMEM;
	list->values = values;
	values[list->num] = strdup(value);
	if (!values[list->num])
		return -ENOMEM;
	list->num++;
	return 0;
}

/* The place of the first which is equal to value; list->num: there is none. */
static unsigned int option_list_find(const struct option_list *list, const char *value)
{
	unsigned int i;

	for (i = 0; i < list->num && strcmp(list->values[i], value); i++)
		;
	return i;
}

int option_list_replace(struct option_list *list, const char *old, const char *value)
{
	unsigned int i = option_list_find(list, old);
	char *copy;

	if (i == list->num)
		return -ENOENT;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(list->values[i]);
	list->values[i] = copy;
	return 0;
}

void option_list_remove(struct option_list *list, const char *value)
{
	unsigned int i = option_list_find(list, value);

	if (i == list->num)
		return;
	free(list->values[i]);
	list->num--;
	for (; i < list->num; i++)
		list->values[i] = list->values[i + 1];
}

static int option_add(struct option_list *list, const char *value, char *why)
{
	if (!*value)
		return option_refuse(why, "it needs a value");
	if (option_list_add(list, value))
		return option_refuse(why, "%s", strerror(ENOMEM));
	return 0;
}

void option_list_free(struct option_list *list)
{
	while (list->num)
		free(list->values[--list->num]);
	free(list->values);
	list->values = NULL;
}

static bool option_takes_value(const struct option_def *def)
{
	return def->type != OPTION_FLAG && def->type != OPTION_ACTION;
}

static int option_set_value(const struct option_def *def, void *field, const char *value, char *why)
{
	if (!option_takes_value(def) && value)
		return option_refuse(why, "it takes no value");
	if (option_takes_value(def) && !value)
		return option_refuse(why, "it needs a value");
	switch (def->type) {
	case OPTION_TEXT:
		return option_set_text(def, field, value, why);
	case OPTION_NUMBER:
		return option_set_number(def, field, value, why);
	case OPTION_SIZE:
		return option_set_size(def, field, value, why);
	case OPTION_CHOICE:
		return option_set_choice(def, field, value, why);
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_LIST:
		return option_add(field, value, why);
	case OPTION_ACTION:
		return 0;
	}
	return option_refuse(why, "its type is unknown");
}

int option_set(struct option_table *table, const struct option_def *def, const char *value,
	       char why[OPTION_WHY_SIZE])
{
	uint64_t bit = UINT64_C(1) << (def - table->defs);

	/* The last one could win, but whoever says two things means one of them. */
	if (table->given & bit && def->type != OPTION_LIST)
		return option_refuse(why, "given more than once");
	table->given |= bit;
	return option_set_value(def, (char *)table->values + def->offset, value, why);
}

/*
 * Keys within a value
 */

/* Cut the text at its first comma which is not doubled; those become single.  The rest, or NULL. */
static char *option_cut(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == ',' && *++text != ',') {
			*to = '\0';
			return text;
		}
		*to++ = *text;
	}
	*to = '\0';
	return NULL;
}

static int option_parse_key(struct option_table *table, char *key, char *why)
{
	char *value = strchr(key, '='), reason[OPTION_WHY_SIZE];
	const struct option_def *def;

	if (value)
		*value++ = '\0';
	for (def = table->defs; def->name && strcmp(def->name, key); def++)
		;
	if (!def->name)
		return option_refuse(why, "%.40s: unknown", key);
	if (!option_set(table, def, value, reason))
		return 0;
	return option_refuse(why, "%s: %.*s", key, OPTION_WHY_SIZE - 48, reason);
}

int options_parse_keys(struct option_table *table, char *text, char why[OPTION_WHY_SIZE])
{
	char *next;
	int ret = 0;

	for (; !ret && text; text = next) {
		next = option_cut(text);
		ret = option_parse_key(table, text, why);
	}
	return ret;
}

/*
 * Command line
 */

bool options_asked(int argc, char **argv, const char *name)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strncmp(argv[i], "--", 2) && !strcmp(argv[i] + 2, name))
			return true;
	return false;
}

struct option_table *options_find(struct option_table *tables, unsigned int n, const char *name,
				  size_t len, const struct option_def **def)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		for (*def = tables[i].defs; (*def)->name; (*def)++)
			if (strlen((*def)->name) == len && !memcmp((*def)->name, name, len))
				return &tables[i];
	return NULL;
}

/* One option of the line; returns how many arguments it took. */
static int options_parse_one(struct option_table *tables, unsigned int n, char **argv)
{
	const char *arg = argv[0], *value = strchr(arg, '=');
	size_t len = value ? (size_t)(value - arg) : strlen(arg);
	const struct option_def *def;
	struct option_table *table;
	char why[OPTION_WHY_SIZE];
	int took = 1;

	if (strncmp(arg, "--", 2) || len == 2) {
		daemon_err("%s: not an option; see --help", arg);
		return -EINVAL;
	}
	table = options_find(tables, n, arg + 2, len - 2, &def);
	if (!table) {
		daemon_err("%.*s: unknown option; see --help", (int)len, arg);
		return -EINVAL;
	}
	if (value) {
		value++;
	} else if (option_takes_value(def) && argv[1] && strncmp(argv[1], "--", 2)) {
		value = argv[1];
		took = 2;
	}
	if (!option_set(table, def, value, why))
		return took;
	daemon_err("--%s%s%s: %s", def->name, value ? "=" : "", value ? value : "", why);
	return -EINVAL;
}

int options_parse_operands(struct option_table *tables, unsigned int n, int argc, char **argv,
			   struct option_operands *operands)
{
	int i, took;

	for (i = 1; i < argc; i += took) {
		if (argv[i][0] != '-' && operands->num < operands->max) {
			operands->values[operands->num++] = argv[i];
			took = 1;
			continue;
		}
		took = options_parse_one(tables, n, argv + i);
		if (took < 0)
			return took;
	}
	return 0;
}

int options_parse(struct option_table *tables, unsigned int n, int argc, char **argv)
{
	return options_parse_operands(tables, n, argc, argv, &(struct option_operands){ 0 });
}

/*
 * Help
 */

/* "--name=VALUE", or without the dashes; returns its length. */
static int options_help_head(const struct option_def *def, const char *dashes, FILE *out)
{
	int len = fprintf(out, "  %s%s", dashes, def->name);
	unsigned int i;

	if (def->type == OPTION_CHOICE) {
		for (i = 0; def->choices[i]; i++)
			len += fprintf(out, "%c%s", i ? '|' : '=', def->choices[i]);
	} else if (option_takes_value(def)) {
		len += fprintf(out, "=%s", def->arg);
	}
	return len;
}

static void options_help_one(const struct option_def *def, const char *dashes, FILE *out)
{
	int len = options_help_head(def, dashes, out);

	if (len > HELP_COLUMN - 2) {
		fprintf(out, "\n");
		len = 0;
	}
	fprintf(out, "%*s%s\n", HELP_COLUMN - len, "", def->help);
}

void options_help(const struct option_def *defs, FILE *out)
{
	const struct option_def *key;

	for (; defs->name; defs++) {
		options_help_one(defs, "--", out);
		for (key = defs->keys; key && key->name; key++)
			options_help_one(key, "  ", out);
	}
}
