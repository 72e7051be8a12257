/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: JSON of configuration files and of the control socket, to options and back.
 *
 * The text is read as a configuration file is, and its options are set, of one device or of a list
 * of them; it is also read as one value of a list, as lun-add does.  What was accepted is printed,
 * read again, and must then be the same.
 */
#include <stdlib.h>

#include "daemons/internal.h"
#include "daemons/json.h"
#include "tests/fuzz/input.h"

#define TEXT_MAX 65536u

struct values {
	const char *text, *word;
	bool flag;
	int number;
	unsigned int choice, count;
	uint64_t size;
	struct option_list list, plain;
};

#define FIELD(field) offsetof(struct values, field)

static const char *const words[] = { "one", "two", NULL };
static const char *const counts[] = { "512", "4096", NULL };

static const struct option_def keys[] = {
	{ "file", OPTION_TEXT, FIELD(text), .arg = "PATH", .help = "" },
	{ "size", OPTION_SIZE, FIELD(size), .arg = "BYTES", .help = "", .min = 1, .max = INT64_MAX },
	{ "ro", OPTION_FLAG, FIELD(flag), .help = "" },
	{ "block", OPTION_CHOICE, FIELD(count), .help = "", .choices = counts },
	{ 0 }
};

static const struct option_def defs[] = {
	{ "text", OPTION_TEXT, FIELD(text), .arg = "TEXT", .help = "" },
	{ "word", OPTION_TEXT, FIELD(word), .arg = "WORD", .help = "", .max = 8 },
	{ "flag", OPTION_FLAG, FIELD(flag), .help = "" },
	{ "number", OPTION_NUMBER, FIELD(number), .arg = "N", .help = "", .min = 1, .max = INT32_MAX },
	{ "size", OPTION_SIZE, FIELD(size), .arg = "BYTES", .help = "", .max = UINT64_MAX },
	{ "choice", OPTION_CHOICE, FIELD(choice), .help = "", .choices = words },
	{ "count", OPTION_CHOICE, FIELD(count), .help = "", .choices = counts },
	{ "lun", OPTION_LIST, FIELD(list), .arg = "LUN,...", .help = "", .keys = keys },
	{ "plain", OPTION_LIST, FIELD(plain), .arg = "TEXT", .help = "" },
	{ "act", OPTION_ACTION, .help = "" },
	{ 0 }
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void free_values(struct values *v)
{
	option_list_free(&v->list);
	option_list_free(&v->plain);
}

/* What the options are, as text, which lives as long as *obj. */
static const char *print_options(const struct option_table *table, struct json_object **obj)
{
	*obj = json_object_new_object();
	config_get(table, 1, *obj);
	return json_object_to_json_string_ext(*obj, JSON_C_TO_STRING_PLAIN);
}

/* What was printed is accepted, and says the same. */
static void check_again(const char *text)
{
	struct values v = { 0 };
	struct option_table table = { .defs = defs, .values = &v };
	char why[CONFIG_WHY_SIZE], reason[JSON_WHY_SIZE];
	struct json_object *obj = json_read(text, strlen(text), reason), *printed;

	must(obj && !config_set(&table, 1, obj, why));
	must(!strcmp(print_options(&table, &printed), text));
	json_object_put(printed);
	json_object_put(obj);
	free_values(&v);
}

static void try_options(struct json_object *obj)
{
	struct values v = { 0 };
	struct option_table table = { .defs = defs, .values = &v };
	struct json_object *printed;
	char why[CONFIG_WHY_SIZE] = "";

	if (config_set(&table, 1, obj, why)) {
		must(*why && strlen(why) < sizeof(why));
	} else {
		check_again(print_options(&table, &printed));
		json_object_put(printed);
	}
	free_values(&v);
}

/*
 * A whole configuration, in which devices have these options
 */

static void forget_device(struct daemon_device *device)
{
	free_values(daemon_own(device));
}

static const struct daemon fuzz_daemon = {
	.name = "fuzz",
	.options = defs,
	.own_size = sizeof(struct values),
	.queues = &daemon_request_queues,
	.forget = forget_device,
};

static unsigned int refusals;

static void refused(const struct daemon_run *run, const char *why)
{
	must(run->daemon == &fuzz_daemon && *why && strlen(why) < CONFIG_WHY_SIZE);
	refusals++;
}

/* What the text, which is an object, configures, printed; NULL: it is refused.  To be freed. */
static char *configure(const char *text, size_t len)
{
	struct daemon_run run = { .daemon = &fuzz_daemon, .conf = common_process_default };
	char reason[JSON_WHY_SIZE], *printed = NULL;
	struct json_object *obj;

	refusals = 0;
	must(!device_new_only(&run));
	run.config = json_read(text, len, reason);
	must(run.config);
	if (daemon_config_take(&run, refused)) {
		must(refusals && refusals <= DEVICES_MAX);
	} else {
		must(!refusals);
		obj = daemon_config(&run);
		printed = strdup(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN));
		json_object_put(obj);
	}
	device_free_all(&run);
	json_object_put(run.list);
	json_object_put(run.config);
	return printed;
}

static void try_configuration(const char *text, size_t len)
{
	char *printed = configure(text, len), *again;

	if (!printed)
		return;
	again = configure(printed, strlen(printed));
	must(again && !strcmp(again, printed));
	free(again);
	free(printed);
}

/* A value of a list; the keys of it are judged as those of the command line. */
static void try_item(struct json_object *value)
{
	struct values v = { 0 };
	struct option_table table = { .defs = keys, .values = &v };
	char why[CONFIG_WHY_SIZE] = "", *item = config_item(&defs[7], value, why), *rest;

	must(item || *why);
	rest = item ? strchr(item, ',') : NULL;
	if (rest)
		options_parse_keys(&table, rest + 1, why);
	free(item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), why[JSON_WHY_SIZE] = "";
	struct json_object *obj;

	if (!text || size > TEXT_MAX) {
		free(text);
		return 0;
	}
	memcpy(text, data, size);
	text[size] = '\0';
	json_object_put(json_text(text));
	obj = json_read(text, size, why);
	must(obj || *why);
	if (json_object_is_type(obj, json_type_object)) {
		try_options(obj);
		try_configuration(text, size);
	}
	if (obj)
		try_item(obj);
	json_object_put(obj);
	free(text);
	return 0;
}
